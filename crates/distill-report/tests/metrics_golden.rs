//! Every metric against scikit-learn on random and degenerate cases (`scripts/goldens/report.py`).
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use distill_core::LabelMap;
use distill_report::metrics::classification::class_shares;
use distill_report::metrics::{self, Metric, Scored, calibration};
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
