//! Inputs at the edge of what is allowed: every document is made, every number in it is finite.
#![allow(clippy::unwrap_used)]

use distill_core::{LabelMap, StopSignal};
use distill_report::documents::terminal::{self, TerminalStyle};
use distill_report::documents::{self, html, junit, markdown};
use distill_report::metrics::Metric;
use distill_report::report::Report;
use distill_report::{DataSet, Predictions, ReportSettings, Role, build};

/// Predictions with the logits that `logit(row, label)` gives and the labels that `label(row)` gives.
fn table(
    role: Role,
    rows: usize,
    labels: usize,
    label: impl Fn(usize) -> Option<i32>,
    logit: impl Fn(usize, usize) -> f32,
) -> Predictions {
    let ids = (0..rows).map(|row| row.to_string()).collect();
    let logit = &logit;
    let logits = (0..rows).flat_map(|row| (0..labels).map(move |label| logit(row, label))).collect();
    let targets = (0..rows).map(label).collect();
    Predictions::new(role.name(), role, ids, LabelMap::numbered(labels).unwrap(), targets, logits).unwrap()
}

fn report(predictions: Vec<Predictions>) -> Report {
    let settings = ReportSettings { resamples: 200, slice_min_rows: 1, ..ReportSettings::default() };
    let report =
        build(vec![DataSet { name: "test".to_owned(), predictions }], &settings, &StopSignal::default())
            .unwrap();
    let json = documents::json(&report).unwrap();
    assert!(!json.contains("null"), "a number is not finite");
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    for text in [
        html::render(&report),
        markdown::render(&report),
        junit::render(&report),
        terminal::render(&report, &[], TerminalStyle::default()),
    ] {
        assert!(!text.contains("NaN") && !text.contains(">inf") && !text.contains(" inf"), "{text}");
    }
    report
}

#[test]
fn two_rows() {
    let of =
        |role| table(role, 2, 2, |row| Some(row as i32), |row, label| if row == label { 1.0 } else { 0.0 });
    let report = report(vec![of(Role::Teacher), of(Role::Student), of(Role::Baseline)]);
    let against = report.data[0].models[1].against_teacher.as_ref().unwrap();
    assert_eq!(against.kept[&Metric::Accuracy].value, 1.0);
    assert!(against.gap_closed.is_empty(), "there is no gap to close");
    assert!(report.data[0].comparisons.iter().all(|pair| pair.differences.values().all(|d| !d.is_shown)));
}

#[test]
fn equal_logits_everywhere() {
    report(vec![table(Role::Student, 60, 4, |row| Some((row % 4) as i32), |_, _| 0.0)]);
}

#[test]
fn a_teacher_that_is_always_wrong() {
    let wrong = |row: usize, label: usize| if (row + 1) % 3 == label { 9.0 } else { 0.0 };
    let teacher = table(Role::Teacher, 30, 3, |row| Some((row % 3) as i32), wrong);
    let student = table(
        Role::Student,
        30,
        3,
        |row| Some((row % 3) as i32),
        |row, label| if row % 3 == label { 9.0 } else { 0.0 },
    );
    let report = report(vec![teacher, student]);
    let kept = &report.data[0].models[1].against_teacher.as_ref().unwrap().kept;
    assert!(!kept.contains_key(&Metric::Accuracy), "a share of nothing is undefined");
}

#[test]
fn huge_logits() {
    let huge = |row: usize, label: usize| if row.is_multiple_of(label + 2) { 3e38 } else { -3e38 };
    let report = report(vec![table(Role::Student, 40, 3, |row| Some((row % 3) as i32), huge)]);
    assert!(report.data[0].models[0].value(Metric::LogLoss).unwrap() < 37.0);
}

#[test]
fn more_labels_than_a_matrix_can_show() {
    let hot = |row: usize, label: usize| if row % 150 == label || row % 7 == label { 2.0 } else { 0.0 };
    let of = |role| table(role, 400, 150, |row| Some((row % 149) as i32), hot);
    report(vec![of(Role::Teacher), of(Role::Student)]);
}

#[test]
fn rows_without_labels_count_for_agreement_alone() {
    let label = |row: usize| (row < 10).then_some((row % 2) as i32);
    let teacher = table(Role::Teacher, 40, 2, label, |row, label| if row % 2 == label { 1.0 } else { 0.0 });
    let student = table(
        Role::Student,
        40,
        2,
        label,
        |row, label| {
            if (row % 2 == label) == (row < 20) { 1.0 } else { 0.0 }
        },
    );
    let report = report(vec![teacher, student]);
    let (set, student) = (&report.data[0], &report.data[0].models[1]);
    assert_eq!((set.rows, set.labelled), (40, 10));
    assert_eq!(student.value(Metric::Accuracy), Some(1.0));
    assert_eq!(student.value(Metric::Agreement), Some(0.5));
    let interval = student.metrics[&Metric::Agreement].interval.unwrap();
    assert!(interval[0] > 0.3 && interval[1] < 0.7, "{interval:?}");
}

#[test]
fn the_order_of_rows_and_of_models_changes_no_figure() {
    let rows = 90;
    let logit = |row: usize, label: usize| ((row * 31 + label * 17) % 23) as f32 / 5.0;
    let forwards = table(Role::Student, rows, 3, |row| Some((row % 3) as i32), logit);
    let ids = (0..rows).rev().map(|row| row.to_string()).collect();
    let labels = (0..rows).rev().map(|row| Some((row % 3) as i32)).collect();
    let logits = (0..rows).rev().flat_map(|row| (0..3).map(move |label| logit(row, label))).collect();
    let backwards =
        Predictions::new("student", Role::Student, ids, LabelMap::numbered(3).unwrap(), labels, logits)
            .unwrap();
    let (one, other) = (report(vec![forwards]), report(vec![backwards]));
    for (metric, figure) in &one.data[0].models[0].metrics {
        let other = other.data[0].models[0].value(*metric).unwrap();
        assert!((figure.value - other).abs() < 1e-12, "{}: {} {other}", metric.name(), figure.value);
    }
}
