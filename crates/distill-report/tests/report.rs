//! A whole report over hand-made predictions: figures, gates, documents.
#![allow(clippy::unwrap_used)]

use distill_core::{Category, LabelMap, StopSignal};
use distill_report::documents::terminal::{self, TerminalStyle};
use distill_report::documents::{self, markdown};
use distill_report::gates::GateState;
use distill_report::metrics::Metric;
use distill_report::report::{Figure, Outcome, Report};
use distill_report::settings::Undecided;
use distill_report::{Cost, DataSet, Latency, Predictions, ReportError, ReportSettings, Role, build};

/// Predictions that are right except on the rows in `wrong`, where the next label is predicted.
fn model(name: &str, role: Role, wrong: &[usize], parameters: u64, rows_per_second: f64) -> Predictions {
    const ROWS: usize = 12;
    let map = LabelMap::new(["ABBR", "<b>|bold|", "esc\u{1b}[31m"]).unwrap();
    let ids = (0..ROWS).map(|row| format!("q{row}")).collect();
    let labels = (0..ROWS).map(|row| Some((row % 3) as i32)).collect();
    let logits = (0..ROWS).flat_map(|row| {
        let hot = (row + usize::from(wrong.contains(&row))) % 3;
        (0..3).map(move |at| if at == hot { 2.0 } else { 0.0 })
    });
    Predictions::new(name, role, ids, map, labels, logits.collect())
        .unwrap()
        .with_cost(Cost {
            parameters,
            bytes: 4 * parameters,
            rows_per_second: Some(rows_per_second),
            latency: None,
        })
        .unwrap()
}

fn trio() -> Vec<DataSet> {
    let predictions = vec![
        model("teacher", Role::Teacher, &[0, 1], 22_713_216, 50.0),
        model("student", Role::Student, &[0, 1, 2], 17_000_000, 100.0),
        model("no teacher", Role::Baseline, &[0, 1, 2, 3], 17_000_000, 100.0),
    ];
    vec![DataSet { name: "test".to_owned(), predictions }]
}

fn report(gates: &[&str]) -> Report {
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    build(trio(), &ReportSettings { gates, resamples: 0, ..ReportSettings::default() }, &StopSignal::default())
        .unwrap()
}

#[test]
fn figures_gates_and_the_teacher_stand_together() {
    let report = report(&[
        "accuracy >= 0.75",
        "kept.accuracy >= 95%",
        "drop.accuracy <= 0.1 vs teacher",
        "no teacher: drop.accuracy < 0.1 vs student",
        "gap_closed.accuracy >= 0.5 on test",
        "agreement > 0.9",
    ]);
    let student = &report.data[0].models[1];
    assert_eq!(student.value(Metric::Accuracy), Some(0.75));
    let against = student.against_teacher.as_ref().unwrap();
    assert!((against.kept[&Metric::Accuracy].value - 0.9).abs() < 1e-12);
    assert!((against.gap_closed[&Metric::Accuracy].value - 0.5).abs() < 1e-12);
    assert_eq!(against.speed_up, Some(2.0));
    let passed: Vec<bool> = report.gates.iter().map(|gate| gate.passed).collect();
    assert_eq!(passed, [true, false, true, true, true, true], "{:#?}", report.gates);
    assert_eq!(report.gates[1].text, "student: kept.accuracy is 0.9000, at least 0.9500 was asked for");
    assert_eq!(report.verdict.outcome, Outcome::Failed);
    assert!(!report.gates_passed());
    let sentence = "student keeps 90.0 % of the accuracy of teacher (0.7500 of 0.8333) at 2.0x its speed with 74.8 % of its parameters. \
                    Gain over the same student without a teacher (no teacher): +0.0833 accuracy";
    assert_eq!(report.verdict.text, sentence);
}

#[test]
fn gates_that_do_not_fit_the_models_are_wrong_usage() {
    for (gate, part) in [
        ("tutor: accuracy >= 0.5", "there is no model \"tutor\"; there is teacher, student, no teacher"),
        ("accuracy >= 0.5 on train", "there is no data set \"train\"; there is test"),
        ("macro_f2 >= 0.5", "did you mean macro_f1"),
    ] {
        let settings = ReportSettings { gates: vec![gate.to_owned()], ..ReportSettings::default() };
        let error = build(trio(), &settings, &StopSignal::default()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.category(), Category::Usage);
    }
    let alone = |gates: &[&str]| {
        let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
        let predictions = vec![model("m", Role::Other, &[0], 1, 1.0)];
        let settings = ReportSettings { gates, resamples: 0, ..ReportSettings::default() };
        build(vec![DataSet { name: "test".to_owned(), predictions }], &settings, &StopSignal::default())
    };
    assert!(alone(&["accuracy >= 0.5"]).unwrap().gates_passed());
    assert!(alone(&["agreement >= 0.5"]).unwrap_err().to_string().contains("no teacher to compare with"));
    assert!(alone(&["gap_closed.accuracy >= 0.5"]).unwrap_err().to_string().contains("the baseline"));
}

#[test]
fn two_teachers_and_two_sets_of_one_name_are_refused() {
    let mut data = trio();
    data[0].predictions.push(model("second", Role::Teacher, &[], 1, 1.0));
    assert!(
        build(data, &ReportSettings::default(), &StopSignal::default())
            .unwrap_err()
            .to_string()
            .contains("at most one")
    );
    let data = [trio(), trio()].concat();
    assert!(
        build(data, &ReportSettings::default(), &StopSignal::default())
            .unwrap_err()
            .to_string()
            .contains("two data sets")
    );
}

#[test]
fn the_json_reads_back_and_documents_are_whole_files() {
    let directory = tempfile::tempdir().unwrap();
    let report = report(&["accuracy >= 0.5"]);
    let files = documents::write(&report, directory.path()).unwrap();
    assert!(files.iter().all(|file| file.exists()));
    let json = std::fs::read_to_string(directory.path().join("report.json")).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let missing = documents::write(&report, &directory.path().join("nowhere")).unwrap_err();
    assert!(missing.to_string().contains("nowhere"), "{missing}");
}

#[test]
fn names_from_outside_are_shown_and_never_obeyed() {
    let report = report(&["accuracy >= 0.9"]);
    let text = markdown::render(&report);
    assert!(text.contains(r"&lt;b&gt;\|bold\|") && !text.contains("<b>"), "{text}");
    for style in [TerminalStyle::default(), TerminalStyle { unicode: true, color: false, width: Some(60) }] {
        assert!(!terminal::render(&report, &[], style).contains('\u{1b}'));
    }
}

#[test]
fn the_terminal_says_the_verdict_first() {
    let report = report(&["kept.accuracy >= 0.95", "accuracy >= 0.5"]);
    let text = terminal::render(&report, &["out/report.md".into()], TerminalStyle::default());
    let expected = "\
FAILED  student keeps 90.0 % of the accuracy of teacher (0.7500 of 0.8333) at 2.0x its speed with 74.8 % of its parameters. Gain over the same student without a teacher (no teacher): +0.0833 accuracy

test (12 rows)
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.ends_with("\nfiles\n  out/report.md\n"), "{text}");
    assert!(text.contains("  FAIL  kept.accuracy >= 0.95\n        student: kept.accuracy is 0.9000"), "{text}");
    let color = terminal::render(&report, &[], TerminalStyle { color: true, ..TerminalStyle::default() });
    assert!(color.starts_with("\u{1b}[1;31mFAILED\u{1b}[0m"));
}

/// A bigger data set: 400 rows, the teacher wrong on 20 of them and the student on 40.
fn hundreds(gates: &[&str], undecided: Undecided) -> Result<Report, ReportError> {
    let make = |name: &str, role, wrong: usize| {
        let map = LabelMap::new(["no", "yes"]).unwrap();
        let ids = (0..400).map(|row| format!("r{row}")).collect();
        let labels = (0..400).map(|row| Some(row % 2)).collect();
        let logits = (0..400).flat_map(|row| {
            let right = row % wrong != 0;
            let hot = if right { row % 2 } else { 1 - row % 2 };
            (0..2).map(move |at| if at == hot { 2.0 } else { -1.0 })
        });
        let texts = (0..400).map(|row| "word ".repeat(1 + row % 40)).collect();
        let latency = Some(Latency { p50_ms: 8.0, p95_ms: 12.0, p99_ms: 30.0 });
        Predictions::new(name, role, ids, map, labels, logits.collect())
            .unwrap()
            .with_texts(texts)
            .unwrap()
            .with_column(
                "source",
                (0..400).map(|row| if row % 4 == 0 { "web" } else { "phone" }.to_owned()).collect(),
            )
            .unwrap()
            .with_cost(Cost {
                parameters: 10_000_000,
                bytes: 40_000_000,
                rows_per_second: Some(100.0),
                latency,
            })
            .unwrap()
            .as_seed_of("models")
    };
    let predictions = vec![make("teacher", Role::Teacher, 20), make("student", Role::Student, 10)];
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let slices = ["label", "length", "teacher_confidence", "source"].map(str::to_owned).to_vec();
    let settings = ReportSettings { gates, undecided, slices, resamples: 2000, ..ReportSettings::default() };
    build(vec![DataSet { name: "test".to_owned(), predictions }], &settings, &StopSignal::default())
}

#[test]
fn confidence_passes_fails_or_leaves_open() {
    let gates = [
        "accuracy >= 0.8 with confidence",
        "accuracy >= 0.95 with confidence",
        "accuracy >= 0.89 with confidence",
        "drop.accuracy <= 0.1 with confidence",
        "f1[yes] >= 0.85 with confidence",
        "recall[no] >= 0.75",
        "latency.p95 <= 20ms",
        "latency.p99 <= 20ms",
    ];
    let states = |undecided| {
        let report = hundreds(&gates, undecided).unwrap();
        report.gates.iter().map(|gate| (gate.state, gate.passed)).collect::<Vec<_>>()
    };
    use GateState::{Failed, Passed, Undecided as Open};
    let word: Vec<GateState> = states(Undecided::Fail).iter().map(|state| state.0).collect();
    assert_eq!(word, [Passed, Failed, Open, Passed, Passed, Passed, Passed, Failed]);
    assert!(!states(Undecided::Fail)[2].1 && states(Undecided::Pass)[2].1);
    let error = hundreds(&["latency.p95 <= 20ms with confidence"], Undecided::Fail).unwrap_err();
    assert!(error.to_string().contains("no interval"), "{error}");
}

#[test]
fn a_difference_is_called_one_only_when_its_interval_excludes_zero() {
    let report = hundreds(&[], Undecided::Fail).unwrap();
    let set = &report.data[0];
    let comparison = &set.comparisons[0];
    let accuracy = comparison.differences[&Metric::Accuracy];
    assert!((accuracy.value - 0.05).abs() < 1e-12 && accuracy.is_shown);
    // The teacher errs on every 20th row, where the student errs too.
    assert_eq!((comparison.mcnemar.unwrap().only_first, comparison.mcnemar.unwrap().only_second), (20, 0));
    assert!((comparison.mcnemar.unwrap().p_value - 2f64.powi(-19)).abs() < 1e-12);
    let interval = set.models[1].metrics[&Metric::Accuracy].interval.unwrap();
    assert!((interval[0] - 0.87).abs() < 0.01 && (interval[1] - 0.93).abs() < 0.01, "{interval:?}");
    assert_eq!(set.seeds[0].models, ["teacher", "student"]);
    assert!((set.seeds[0].metrics[&Metric::Accuracy].std - 0.05 / 2f64.sqrt()).abs() < 1e-12);
}

#[test]
fn slices_and_error_lists_point_at_the_rows() {
    let report = hundreds(&[], Undecided::Fail).unwrap();
    let set = &report.data[0];
    let weakest = &set.slices[0];
    assert_eq!((weakest.by.as_str(), weakest.value.as_str(), weakest.rows), ("label", "no", 200));
    assert!((weakest.accuracies[1].value - 0.8).abs() < 1e-12);
    assert!(set.slices.iter().any(|slice| slice.by == "source" && slice.value == "web" && slice.rows == 100));
    assert!(set.slices.iter().any(|slice| slice.by == "length"));
    let errors = &set.errors[0];
    assert_eq!((errors.lost, errors.won, errors.lost_rows.len()), (20, 0, 20));
    assert_eq!((errors.lost_rows[0].id.as_str(), errors.lost_rows[0].predicted.as_str()), ("r10", "yes"));
    assert_eq!(errors.label_errors.len(), 20);
    assert_eq!((errors.grown_confusions[0].teacher, errors.grown_confusions[0].student), (20, 40));
}

#[test]
fn a_regression_is_measured_against_an_earlier_report_of_the_same_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.json");
    let regression = format!("regression vs {}", path.display());
    let missing = hundreds(&[&regression], Undecided::Fail).unwrap_err();
    assert_eq!(missing.category(), Category::Usage, "{missing}");
    let mut earlier = hundreds(&[], Undecided::Fail).unwrap();
    documents::write(&earlier, directory.path()).unwrap();
    assert!(hundreds(&[&regression], Undecided::Fail).unwrap().gates_passed());
    for model in &mut earlier.data[0].models {
        model.metrics.insert(Metric::Accuracy, Figure { value: 0.95, interval: None });
    }
    documents::write(&earlier, directory.path()).unwrap();
    let outcome = hundreds(&[&regression], Undecided::Fail).unwrap().gates.remove(0);
    assert!(!outcome.passed && (outcome.value.unwrap() - 0.05).abs() < 1e-12, "{outcome:?}");
    earlier.data[0].rows_hash.clear();
    documents::write(&earlier, directory.path()).unwrap();
    let error = hundreds(&[&regression], Undecided::Fail).unwrap_err();
    assert!(error.to_string().contains("other rows"), "{error}");
    earlier.schema_version = 99;
    documents::write(&earlier, directory.path()).unwrap();
    let error = hundreds(&[&regression], Undecided::Fail).unwrap_err();
    assert!(error.to_string().contains("schema version 99"), "{error}");
    assert_eq!(error.category(), Category::Data);
}
