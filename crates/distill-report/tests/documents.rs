//! Documents over hostile names and texts: everything is shown, nothing is obeyed.
#![allow(clippy::unwrap_used)]

use distill_core::{LabelMap, StopSignal};
use distill_report::documents::card::{self, CardInfo};
use distill_report::documents::changes::{self, Direction};
use distill_report::documents::{self, github, html, junit};
use distill_report::metrics::Metric;
use distill_report::report::{About, DataInfo, Figure, ModelInfo, Report, Timing, TrainingCurves};
use distill_report::{Cost, DataSet, Latency, Predictions, ReportSettings, Role, build};

const HOSTILE: &str = "</script><script>alert('x')</script>\"|`\u{1b}[31m\r\n::error::x";

fn model(name: &str, role: Role, wrong: usize) -> Predictions {
    const ROWS: usize = 120;
    let map = LabelMap::new(["no", HOSTILE, "maybe"]).unwrap();
    let ids = (0..ROWS).map(|row| format!("{HOSTILE}{row}")).collect();
    let labels = (0..ROWS).map(|row| Some((row % 3) as i32)).collect();
    let logits = (0..ROWS).flat_map(|row| {
        let hot = (row + usize::from(row % wrong == 0)) % 3;
        (0..3).map(move |at| if at == hot { 2.0 + row as f32 / 100.0 } else { 0.0 })
    });
    let latency = Some(Latency { p50_ms: 1.0, p95_ms: 2.0, p99_ms: 3.0 });
    Predictions::new(name, role, ids, map, labels, logits.collect())
        .unwrap()
        .with_texts((0..ROWS).map(|row| format!("{HOSTILE} {}", "x".repeat(row))).collect())
        .unwrap()
        .with_column(
            HOSTILE,
            (0..ROWS).map(|row| if row % 2 == 0 { HOSTILE } else { "b" }.to_owned()).collect(),
        )
        .unwrap()
        .with_cost(Cost { parameters: 1000, bytes: 4000, rows_per_second: Some(10.0), latency })
        .unwrap()
        .as_seed_of(HOSTILE)
}

fn hostile(gates: &[&str]) -> Report {
    let predictions = vec![
        model(&format!("teacher {HOSTILE}"), Role::Teacher, 12),
        model("student", Role::Student, 6),
        model("baseline", Role::Baseline, 4),
    ];
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let settings = ReportSettings { gates, resamples: 500, ..ReportSettings::default() };
    let set = |name: &str| DataSet { name: name.to_owned(), predictions: predictions.clone() };
    let mut report = build(vec![set(HOSTILE), set("other")], &settings, &StopSignal::default()).unwrap();
    let series = [(HOSTILE.to_owned(), vec![[0.0, 1.0], [1.0, 0.5]])].into_iter().collect();
    report.timing = Some(Timing {
        device: HOSTILE.to_owned(),
        dtype: "f32".to_owned(),
        threads: 2,
        data: HOSTILE.to_owned(),
        rounds: 5,
        rows: 100,
        single_rows: 200,
    });
    let model = ModelInfo {
        name: "student".to_owned(),
        path: HOSTILE.to_owned(),
        hash: Some("a".repeat(64)),
        training: [("temperature".to_owned(), 2.0.into()), (HOSTILE.to_owned(), HOSTILE.into())].into(),
        ..ModelInfo::default()
    };
    let data = vec![DataInfo { name: HOSTILE.to_owned(), path: HOSTILE.to_owned(), hash: None }];
    let versions = [("distill".to_owned(), HOSTILE.to_owned())].into();
    report.about = Some(About {
        run: HOSTILE.to_owned(),
        date: Some("2026-11-30 19:04".to_owned()),
        versions,
        models: vec![model],
        data,
    });
    report.training.push(TrainingCurves { name: HOSTILE.to_owned(), series });
    report
}

#[test]
fn the_page_is_one_file_without_markup_from_outside() {
    let page = html::render(&hostile(&["accuracy >= 0.5", "f1[no] >= 0.99"]));
    assert_eq!(page.matches("<script>").count(), 1, "only the page's own");
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(&#39;x&#39;)"));
    assert!(!page.contains('\u{1b}'));
    for outside in ["http:", "https:", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    for (open, close) in
        [("<table", "</table>"), ("<svg", "</svg>"), ("<details", "</details>"), ("<figure", "</figure>")]
    {
        assert_eq!(page.matches(open).count(), page.matches(close).count(), "{open}");
    }
    let images = page.matches("role=\"img\"").count();
    assert!(images >= 12, "{images} charts");
    assert_eq!(
        page.matches("role=\"img\"").count(),
        page.matches("<desc>").count(),
        "every chart is described"
    );
    assert!(!page.contains("NaN") && !page.contains(">inf"), "every number is finite");
}

#[test]
fn junit_has_a_case_a_gate() {
    let report = hostile(&["accuracy >= 0.5", "accuracy >= 0.99"]);
    let xml = junit::render(&report);
    assert!(
        xml.contains(
            "<testsuites name=\"distill report\" tests=\"4\" failures=\"2\" errors=\"0\" skipped=\"0\">"
        ),
        "{xml}"
    );
    assert_eq!(xml.matches("<failure type=\"failed\"").count(), 2);
    assert!(!xml.contains("<script>") && !xml.contains('\u{1b}'));
}

#[test]
fn an_annotation_is_one_command_a_line() {
    let report = hostile(&["accuracy >= 0.99", "accuracy >= 0.1"]);
    let lines = github::annotations(&report);
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(
        lines.lines().all(|line| line.starts_with("::error title=Quality gate failed::accuracy &gt;= 0.99")
            || line.starts_with("::error title=Quality gate failed::accuracy >= 0.99"))
    );
}

#[test]
fn the_step_summary_keeps_under_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("summary.md");
    let report = hostile(&["accuracy >= 0.99"]);
    github::append_summary(&report, &path).unwrap();
    let whole = std::fs::metadata(&path).unwrap().len();
    let room = (1 << 20) - 2000;
    distill_core::atomic::write(&path, &vec![b'x'; room]).unwrap();
    github::append_summary(&report, &path).unwrap();
    let brief = std::fs::metadata(&path).unwrap().len() - room as u64;
    assert!(brief < 2000 && brief < whole, "{brief} {whole}");
    distill_core::atomic::write(&path, &vec![b'x'; 1 << 20]).unwrap();
    github::append_summary(&report, &path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 20);
}

#[test]
fn a_card_claims_what_was_measured() {
    let report = hostile(&[]);
    let info = CardInfo { model: "student".to_owned(), license: Some("mit".to_owned()), ..CardInfo::default() };
    let card = card::render(&report, &info).unwrap();
    assert!(card.starts_with("---\nlicense: \"mit\"\nlibrary_name: transformers\n"), "{card}");
    let accuracy = report.data[0].models[1].value(Metric::Accuracy).unwrap();
    assert!(
        card.contains(&format!("    - type: accuracy\n      name: \"accuracy\"\n      value: {accuracy}\n"))
    );
    let (_, body) = card.split_once("\n---\n").unwrap();
    assert!(!body.contains("<script>"));
    assert_eq!(card.matches("\n---\n").count(), 1, "no text from outside ends the front matter");
    assert!(card::render(&report, &CardInfo::default()).is_none());
}

#[test]
fn two_reports_differ_where_they_do() {
    let before = hostile(&["accuracy >= 0.8"]);
    assert!(
        changes::changes(&before, &before).figures.iter().all(|change| change.direction == Direction::Same)
    );
    let mut after = before.clone();
    let student = &mut after.data[0].models[1];
    student.metrics.insert(Metric::Accuracy, Figure { value: 0.99, interval: Some([0.98, 1.0]) });
    student.metrics.insert(Metric::LogLoss, Figure { value: 9.0, interval: Some([8.0, 10.0]) });
    after.data.remove(1);
    after.data[0].rows_hash.clear();
    let model = &mut after.about.as_mut().unwrap().models[0];
    model.hash = Some("b".repeat(64));
    model.training.insert("temperature".to_owned(), 4.0.into());
    model.training.insert("best_epoch".to_owned(), 3.into());
    let changes = changes::changes(&before, &after);
    let of = |metric| {
        changes.figures.iter().find(|change| change.model == "student" && change.metric == metric).unwrap()
    };
    assert_eq!(
        (of(Metric::Accuracy).direction, of(Metric::LogLoss).direction),
        (Direction::Better, Direction::Worse)
    );
    assert!(changes.notes.iter().any(|note| note == "data set \"other\" is gone"), "{:?}", changes.notes);
    assert!(changes.notes.iter().any(|note| note.contains("other rows")));
    assert!(changes.notes.iter().any(|note| note.starts_with("student: other weights")), "{:?}", changes.notes);
    assert!(changes.notes.iter().any(|note| note == "student: trained with temperature = 4, before 2"));
    assert!(!changes.notes.iter().any(|note| note.contains("best_epoch")), "a figure, not a setting");
    let text = changes::terminal(&changes, documents::terminal::TerminalStyle::default());
    assert!(text.contains("better") && text.contains("WORSE") && !text.contains('\u{1b}'), "{text}");
}
