//! What a report says before its figures: no plain "passed" for models that learned nothing.
#![allow(clippy::unwrap_used)]

use distill_core::{LabelMap, StopSignal};
use distill_report::documents::terminal::{self, TerminalStyle};
use distill_report::documents::{github, html, junit, markdown};
use distill_report::gates::GateState;
use distill_report::metrics::Metric;
use distill_report::report::{FindingKind, Outcome, Report};
use distill_report::{DataSet, Predictions, ReportSettings, Role, build};
use distill_task::{Label, TaskId};

const ROWS: usize = 400;

/// Three classes of 70, 20 and 10 % of the rows.
fn label(row: usize) -> usize {
    match row % 10 {
        0..=6 => 0,
        7 | 8 => 1,
        _ => 2,
    }
}

/// A model that answers what `answer` says of a row.
fn model(name: &str, role: Role, answer: impl Fn(usize) -> usize) -> Predictions {
    let map = LabelMap::new(["often", "sometimes", "rarely"]).unwrap();
    let ids = (0..ROWS).map(|row| row.to_string()).collect();
    let labels = (0..ROWS).map(|row| Some(label(row) as i32)).collect();
    let logits = (0..ROWS).flat_map(|row| {
        let hot = answer(row);
        (0..3).map(move |at| if at == hot { 2.0 } else { 0.0 })
    });
    Predictions::new(name, role, ids, map, labels, logits.collect()).unwrap()
}

/// Right but on every row that `wrong` divides.
fn wrong_on(wrong: usize) -> impl Fn(usize) -> usize {
    move |row| if row % wrong == 0 { (label(row) + 1) % 3 } else { label(row) }
}

fn report(predictions: Vec<Predictions>, gates: &[&str]) -> Report {
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let settings = ReportSettings { gates, resamples: 2000, ..ReportSettings::default() };
    build(vec![DataSet { name: "test".to_owned(), predictions }], &settings, &StopSignal::default()).unwrap()
}

fn kinds(report: &Report) -> Vec<FindingKind> {
    report.findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn the_constant_is_measured_as_a_model_that_always_answers_the_same() {
    let report =
        report(vec![model("always", Role::Student, |_| 0), model("good", Role::Other, wrong_on(10))], &[]);
    let set = &report.data[0];
    let constant = set.constant.as_ref().unwrap();
    assert_eq!(constant.labels, ["often"]);
    for (metric, figure) in &constant.metrics {
        assert_eq!(set.models[0].metrics.get(metric), Some(figure), "{}: value and interval", metric.name());
    }
    let over = set.models[0].over_constant[&Metric::Accuracy];
    assert_eq!((over.value, over.interval, over.is_shown), (0.0, Some([0.0, 0.0]), false));
    let over = set.models[1].over_constant[&Metric::Accuracy];
    assert!((over.value - 0.2).abs() < 1e-12 && over.is_shown, "{over:?}");
}

#[test]
fn a_good_trio_passes_plainly() {
    let predictions = vec![
        model("teacher", Role::Teacher, wrong_on(40)),
        model("student", Role::Student, wrong_on(20)),
        model("baseline", Role::Baseline, wrong_on(8)),
    ];
    let report = report(
        predictions,
        &["gain.accuracy > 0 with confidence", "gain.macro_f1 >= 0 vs constant with confidence"],
    );
    assert_eq!(kinds(&report), []);
    assert!(report.gates_passed() && !report.verdict.has_serious_finding, "{:#?}", report.gates);
    assert!(
        terminal::render(&report, &[], TerminalStyle::default()).starts_with("PASSED  student keeps 97.4 %")
    );
    let against = report.data[0].models[1].against_teacher.as_ref().unwrap();
    assert!((against.gap_closed[&Metric::Accuracy].value - 0.75).abs() < 1e-12 && against.no_gap.is_empty());
    assert!((report.gates[0].value.unwrap() - 0.075).abs() < 1e-12);
}

#[test]
fn a_baseline_that_beats_the_student_is_the_first_sentence() {
    let predictions = vec![
        model("teacher", Role::Teacher, wrong_on(10)),
        model("student", Role::Student, wrong_on(8)),
        model("baseline", Role::Baseline, wrong_on(20)),
    ];
    let gates = [
        "accuracy >= 0.8",
        "gain.accuracy >= 0 with confidence",
        "gap_closed.accuracy >= 0.5",
        "gain.log_loss >= -1",
    ];
    let report = report(predictions, &gates);
    let states: Vec<GateState> = report.gates.iter().map(|gate| gate.state).collect();
    assert_eq!(states, [GateState::Passed, GateState::Failed, GateState::Failed, GateState::Passed]);
    assert!(report.gates[2].text.contains("no gap to close"), "{}", report.gates[2].text);
    assert_eq!(report.findings[0].kind, FindingKind::BaselineIsBetter);
    let start = "baseline, the same student without a teacher, is better than student: accuracy 0.9500 against 0.8750, \
                 +0.0750 (+0.";
    assert!(report.verdict.text.starts_with(start), "{}", report.verdict.text);
    let interval = report.findings[0].interval.unwrap();
    assert!(
        interval[1] < 0.0 && report.findings[0].value.unwrap() + 0.075 < 1e-12,
        "the student's side: {interval:?}"
    );
    let against = report.data[0].models[1].against_teacher.as_ref().unwrap();
    assert!(against.gap_closed.is_empty() && against.no_gap.contains(&Metric::Accuracy));
    assert!(markdown::render(&report).contains("| no gap |"));
}

#[test]
fn an_unsure_gain_leaves_its_gate_undecided_and_is_not_called_one() {
    let predictions = vec![
        model("teacher", Role::Teacher, wrong_on(40)),
        model("student", Role::Student, wrong_on(20)),
        model("baseline", Role::Baseline, |row| if row % 19 == 0 { (label(row) + 1) % 3 } else { label(row) }),
    ];
    let report = report(predictions, &["gain.accuracy >= 0 with confidence"]);
    assert_eq!(report.gates[0].state, GateState::Undecided);
    assert!(report.verdict.text.contains("Gain over the same student without a teacher (baseline): +0.00"));
    assert!(report.verdict.text.ends_with("accuracy, not shown"), "{}", report.verdict.text);
}

#[test]
fn no_document_says_passed_without_saying_that_nothing_was_learned() {
    let predictions = vec![
        model("teacher", Role::Teacher, |row| if row % 50 == 0 { 1 } else { 0 }),
        model("student", Role::Student, |_| 0),
    ];
    let report = report(predictions, &["kept.accuracy >= 0.97"]);
    assert_eq!(report.verdict.outcome, Outcome::Passed);
    let expected =
        [FindingKind::TeacherNotBetterThanConstant, FindingKind::OneAnswer, FindingKind::ClassesNeverPredicted];
    assert_eq!(kinds(&report), expected);
    let start = "teacher is not better than always answering \"often\": accuracy 0.6";
    assert!(report.verdict.text.starts_with(start), "{}", report.verdict.text);
    assert!(report.verdict.text.contains("student answers \"often\" on every row"));
    let shown = terminal::render(&report, &[], TerminalStyle::default());
    assert!(shown.starts_with("PASSED, BUT  teacher is not better"), "{shown}");
    assert!(
        shown.contains("teacher never predicts 1 of the 3 classes that have rows (\"rarely\"; 40 rows)"),
        "{shown}"
    );
    let page = html::render(&report);
    assert!(page.contains("<b>The gates passed, but:</b> teacher is not") && !page.contains("<b>Passed.</b>"));
    let text = markdown::render(&report);
    assert!(text.contains("**The gates passed, but:** teacher is not") && !text.contains("**Passed.**"));
    assert_eq!(github::annotations(&report).matches("::warning title=Finding::").count(), 2);
}

#[test]
fn a_teacher_that_is_ahead_by_chance_is_not_shown_to_be_better() {
    // Three of the rare rows more than always answering the same.
    let teacher = model("teacher", Role::Teacher, |row| if row % 139 == 9 { label(row) } else { 0 });
    let report = report(vec![teacher, model("student", Role::Student, wrong_on(20))], &[]);
    let finding = &report.findings[0];
    assert_eq!(finding.kind, FindingKind::TeacherNotBetterThanConstant);
    assert!(
        finding.text.starts_with("teacher is not shown to be better than always answering"),
        "{}",
        finding.text
    );
    assert!(finding.value.unwrap() > 0.0 && finding.interval.unwrap()[0] <= 0.0);
}

#[test]
fn seeds_are_compared_with_the_baseline_of_their_number_and_found_once() {
    let seed = |name: &str, role, number: usize, wrong| {
        model(&format!("{name} {number}"), role, wrong_on(wrong)).as_seed_of(name)
    };
    let predictions = vec![
        model("teacher", Role::Teacher, wrong_on(40)),
        seed("student", Role::Student, 1, 10),
        seed("student", Role::Student, 2, 8),
        seed("baseline", Role::Baseline, 1, 20),
        seed("baseline", Role::Baseline, 2, 25),
    ];
    let report = report(predictions, &[]);
    let against = |at: usize| report.data[0].models[at].against_baseline.as_ref().unwrap();
    assert_eq!((against(1).baseline.as_str(), against(2).baseline.as_str()), ("baseline 1", "baseline 2"));
    assert!((against(2).gain[&Metric::Accuracy].value + 0.085).abs() < 1e-12);
    assert_eq!(kinds(&report), [FindingKind::BaselineIsBetter]);
    assert!(
        report.findings[0].text.ends_with("the same holds for 1 more of its seeds"),
        "{}",
        report.findings[0].text
    );
}

fn of_kind(
    kind: TaskId,
    name: &str,
    role: Role,
    labels: Vec<Option<Label<i32>>>,
    logits: Vec<f32>,
) -> Predictions {
    let ids = (0..labels.len()).map(|row| row.to_string()).collect();
    let map = LabelMap::numbered(logits.len() / labels.len()).unwrap();
    Predictions::labelled(name, role, kind, ids, map, labels, logits).unwrap()
}

#[test]
fn several_classes_a_row_are_held_against_the_most_frequent_ones() {
    let labels =
        (0..200).map(|row| Some(Label::Classes(if row % 4 == 1 { vec![0, 1] } else { vec![0] }))).collect();
    let logits = (0..200).flat_map(|_| [1.0, -1.0]).collect();
    let report = report(vec![of_kind(TaskId::MULTI_LABEL, "m", Role::Student, labels, logits)], &[]);
    let (set, constant) = (&report.data[0], report.data[0].constant.as_ref().unwrap());
    assert_eq!(constant.labels, ["LABEL_0"]);
    // 200 hits, 250 are so, 200 predicted.
    assert!((constant.metrics[&Metric::MicroF1].value - 400.0 / 450.0).abs() < 1e-12);
    for metric in [Metric::MicroF1, Metric::MacroF1, Metric::MicroPrecision, Metric::MicroRecall] {
        let (own, other) = (set.models[0].metrics[&metric], constant.metrics[&metric]);
        assert!((own.value - other.value).abs() < 1e-12, "{}", metric.name());
        let (own, other) = (own.interval.unwrap(), other.interval.unwrap());
        assert!((own[0] - other[0]).abs() + (own[1] - other[1]).abs() < 1e-9, "{}", metric.name());
    }
    assert_eq!(kinds(&report), [FindingKind::OneAnswer]);
}

#[test]
fn numbers_are_held_against_their_mean() {
    let labels = || (0..100).map(|row| Some(Label::Value(f64::from(row % 5)))).collect::<Vec<_>>();
    let near = (0..100).map(|row| (row % 5) as f32 + if row % 2 == 0 { 0.5 } else { -0.5 }).collect();
    let far = (0..100).map(|row| ((row * 7) % 5) as f32).collect();
    let kind = TaskId::REGRESSION;
    let report = report(
        vec![
            of_kind(kind, "teacher", Role::Teacher, labels(), far),
            of_kind(kind, "student", Role::Student, labels(), near),
        ],
        &[],
    );
    let constant = report.data[0].constant.as_ref().unwrap();
    assert!((constant.value.unwrap() - 2.0).abs() < 1e-12);
    assert!(constant.metrics[&Metric::R2].value.abs() < 1e-12);
    assert!((constant.metrics[&Metric::Rmse].value - 2f64.sqrt()).abs() < 1e-12);
    assert_eq!(kinds(&report), [FindingKind::TeacherNotBetterThanConstant]);
    assert!(report.verdict.text.contains("always giving the mean, 2.0000: R2"), "{}", report.verdict.text);
    let gain = report.data[0].models[1].over_constant[&Metric::Rmse];
    assert!((gain.value - (2f64.sqrt() - 0.5)).abs() < 1e-12, "a smaller error is a gain: {gain:?}");
}

/// A CI system shows why "passed" means less than it seems to, without the HTML report.
#[test]
fn junit_has_the_findings_as_properties_and_as_output() {
    let predictions =
        vec![model("teacher", Role::Teacher, wrong_on(40)), model("student", Role::Student, |_| 0)];
    let report = report(predictions, &["accuracy >= 0.1"]);
    let serious: Vec<_> = report.findings.iter().filter(|finding| finding.is_serious).collect();
    assert!(!serious.is_empty() && report.gates.iter().all(|gate| gate.passed));
    let xml = junit::render(&report);
    for finding in &report.findings {
        let name = serde_json::to_value(finding.kind).unwrap();
        assert_eq!(name, finding.kind.name());
        assert!(xml.contains(&format!("<property name=\"finding.{}\" value=\"", finding.kind.name())), "{xml}");
    }
    assert_eq!(xml.matches("\nserious finding: ").count(), serious.len(), "{xml}");
    let at = |part: &str| xml.find(part).unwrap_or_else(|| panic!("{part} is missing: {xml}"));
    assert!(at("</properties>") < at("<testcase") && at("</testcase>") < at("\nserious finding: "));
    let plain = junit::render(&Report { findings: Vec::new(), ..report });
    assert!(!plain.contains("<properties>") && plain.matches("<system-out>").count() == 1, "{plain}");
}
