//! Every metric against scikit-learn on random and degenerate cases (`scripts/goldens/report.py`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use distill_core::LabelMap;
use distill_report::metrics::classification::class_shares;
use distill_report::metrics::{self, Metric, Scored, calibration, multi_label, regression};
use distill_report::{Predictions, ReportError, Role};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    num_labels: usize,
    labels: Vec<i32>,
    logits: Vec<f32>,
    metrics: BTreeMap<Metric, Option<f64>>,
    temperature: f64,
    classes: Vec<Class>,
    confusion: Vec<Vec<u64>>,
}

#[derive(Deserialize)]
struct Class {
    precision: f64,
    recall: f64,
    f1: f64,
    support: u64,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

fn predictions(case: &Case) -> Result<Predictions, ReportError> {
    let ids = (0..case.labels.len()).map(|row| row.to_string()).collect();
    let labels = case.labels.iter().map(|label| Some(*label)).collect();
    let map = LabelMap::numbered(case.num_labels).unwrap();
    Predictions::new("model", Role::Other, ids, map, labels, case.logits.clone())
}

#[track_caller]
fn close(case: &Case, what: &str, value: f64, expected: f64) {
    assert!((value - expected).abs() <= 1e-9, "{}: {what} is {value}, scikit-learn has {expected}", case.name);
}

#[test]
fn every_metric_equals_scikit_learn() {
    for case in cases() {
        let predictions = predictions(&case).unwrap();
        let ours: BTreeMap<Metric, f64> = metrics::all(&Scored::new(&predictions)).into_iter().collect();
        let names: Vec<&Metric> = ours.keys().collect();
        let defined = case.metrics.iter().filter(|(_, value)| value.is_some());
        assert_eq!(names, defined.map(|(metric, _)| metric).collect::<Vec<_>>(), "{}", case.name);
        for (metric, value) in &ours {
            close(&case, metric.name(), *value, case.metrics[metric].unwrap());
        }
    }
}

#[test]
fn classes_confusion_and_temperature_equal_too() {
    for case in cases() {
        let predictions = predictions(&case).unwrap();
        let scored = Scored::new(&predictions);
        let confusion = scored.confusion();
        assert_eq!(
            confusion.tally().supports,
            case.classes.iter().map(|class| class.support).collect::<Vec<_>>()
        );
        assert_eq!(confusion.rows(), case.confusion, "{}", case.name);
        for (ours, expected) in class_shares(&confusion.tally()).iter().zip(&case.classes) {
            close(&case, "precision", ours.precision, expected.precision);
            close(&case, "recall", ours.recall, expected.recall);
            close(&case, "F1", ours.f1, expected.f1);
        }
        // Where the log-loss is 0 already, or falls to the end of the range, any temperature is as good.
        let temperature = calibration::temperature(&scored);
        let is_flat = case.temperature > 99.0 || case.metrics[&Metric::LogLoss] < Some(1e-9);
        assert!(
            is_flat || (temperature / case.temperature - 1.0).abs() < 1e-6,
            "{}: T {temperature}",
            case.name
        );
    }
}

#[derive(Deserialize)]
struct MultiLabelCase {
    name: String,
    num_labels: usize,
    logits: Vec<f32>,
    targets: Vec<bool>,
    figures: serde_json::Value,
}

#[derive(Deserialize)]
struct RegressionCase {
    name: String,
    values: Vec<f32>,
    targets: Vec<f32>,
    figures: serde_json::Value,
}

/// Every number of two JSON trees, to 1e-9.
#[track_caller]
fn close_tree(name: &str, ours: &serde_json::Value, expected: &serde_json::Value) {
    match (ours, expected) {
        (serde_json::Value::Object(ours), serde_json::Value::Object(expected)) => {
            assert_eq!(ours.len(), expected.len(), "{name}");
            ours.iter().for_each(|(key, value)| close_tree(&format!("{name}, {key}"), value, &expected[key]));
        }
        _ => match (ours.as_f64(), expected.as_f64()) {
            (Some(ours), Some(expected)) => {
                assert!((ours - expected).abs() <= 1e-9, "{name}: {ours}, not {expected}")
            }
            (ours, expected) => assert_eq!(ours, expected, "{name}"),
        },
    }
}

#[test]
fn multi_label_figures_equal_scikit_learn() {
    let cases: Vec<MultiLabelCase> = serde_json::from_str(include_str!("golden/multi_label.json")).unwrap();
    for case in cases {
        let ours = multi_label::figures(&case.logits, &case.targets, case.num_labels).unwrap();
        close_tree(&case.name, &serde_json::to_value(ours).unwrap(), &case.figures);
    }
    assert!(multi_label::figures(&[], &[], 3).is_none());
}

#[test]
fn regression_figures_equal_scikit_learn_and_scipy() {
    let cases: Vec<RegressionCase> = serde_json::from_str(include_str!("golden/regression.json")).unwrap();
    for case in cases {
        let [values, targets] = [&case.values, &case.targets]
            .map(|list| list.iter().map(|number| f64::from(*number)).collect::<Vec<_>>());
        let ours = regression::figures(&values, &targets).unwrap();
        close_tree(&case.name, &serde_json::to_value(ours).unwrap(), &case.figures);
    }
    assert!(regression::figures(&[], &[]).is_none());
}
