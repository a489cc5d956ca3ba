//! How sure the figures of the timing are: rounds that disagree leave gates undecided.
#![allow(clippy::unwrap_used)]

use distill_core::{LabelMap, StopSignal};
use distill_report::documents::{html, markdown};
use distill_report::gates::GateState::{Failed, Passed, Undecided};
use distill_report::report::{FindingKind, Report};
use distill_report::{Cost, DataSet, Latency, Predictions, ReportSettings, Role, Round, build};

/// A model that is right on all but one row, with this many rows a second in each round.
fn model(name: &str, role: Role, rates: &[f64]) -> Predictions {
    let ids = (0..12).map(|row| row.to_string()).collect();
    let labels = (0..12).map(|row| Some(row % 2)).collect();
    let logits =
        (0..12).flat_map(|row| if (row % 2 == 0) == (row != 4) { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
    let latency = |rate: f64| Latency { p50_ms: 1e3 / rate, p95_ms: 2e3 / rate, p99_ms: 3e3 / rate };
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let cost =
        Cost { parameters: 1000, bytes: 4000, rows_per_second: Some(median), latency: Some(latency(median)) };
    let rounds = rates.iter().map(|rate| Round { rows_per_second: *rate, latency: latency(*rate) }).collect();
    Predictions::new(name, role, ids, LabelMap::new(["no", "yes"]).unwrap(), labels, logits)
        .unwrap()
        .with_cost(cost)
        .unwrap()
        .with_rounds(rounds)
        .unwrap()
}

fn report(student: &[f64], gates: &[&str]) -> Report {
    let predictions = vec![
        model("teacher", Role::Teacher, &[100.0, 100.0, 100.0, 100.0, 100.0]),
        model("student", Role::Student, student),
    ];
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let settings = ReportSettings { gates, resamples: 200, ..ReportSettings::default() };
    build(vec![DataSet { name: "test".to_owned(), predictions }], &settings, &StopSignal::default()).unwrap()
}

const GATES: [&str; 5] =
    ["speed_up >= 2x", "rows_per_second >= 100", "latency.p50 <= 2ms", "parameters <= 2k", "speed_up >= 3.9x"];

#[test]
fn rounds_that_agree_let_the_value_decide() {
    let report = report(
        &[390.0, 400.0, 405.0, 410.0, 400.0],
        &[&GATES[..], &["speed_up >= 3.95x with confidence"]].concat(),
    );
    let states: Vec<_> = report.gates.iter().map(|gate| gate.state).collect();
    assert_eq!(states, [Passed, Passed, Failed, Passed, Passed, Undecided]);
    let against = report.data[0].models[1].against_teacher.as_ref().unwrap();
    assert_eq!((against.speed_up, against.speed_up_interval), (Some(4.0), Some([3.9, 4.1])));
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(markdown::render(&report).contains("| 4.0x (3.9x to 4.1x) |"));
    assert!(html::render(&report).contains("3.9x to 4.1x"));
}

#[test]
fn rounds_that_disagree_leave_a_gate_between_them_undecided() {
    let report = report(&[150.0, 400.0, 420.0, 410.0, 400.0], &GATES);
    let states: Vec<_> = report.gates.iter().map(|gate| gate.state).collect();
    assert_eq!(states, [Undecided, Passed, Failed, Passed, Undecided]);
    assert!(report.gates[0].text.ends_with("at least 2.00x was asked for; the rounds of the timing disagree"));
    assert!(!report.gates[0].passed && !report.gates_passed(), "as every undecided gate");
    let finding = &report.findings[0];
    assert_eq!((finding.kind, finding.is_serious), (FindingKind::UnsteadyTiming, false));
    assert!(finding.text.contains("student took from 150 to 420 rows a second"), "{}", finding.text);
    assert!(report.verdict.text.contains("at 4.0x its speed (1.5x to 4.2x, the rounds disagree)"));
}

#[test]
fn a_round_of_no_speed_is_refused() {
    let round = Round { rows_per_second: 0.0, latency: Latency { p50_ms: 1.0, p95_ms: 1.0, p99_ms: 1.0 } };
    let error = model("m", Role::Student, &[1.0]).with_rounds(vec![round]).unwrap_err();
    assert!(error.to_string().contains("rows_per_second is 0"), "{error}");
}
