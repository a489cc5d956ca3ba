//! The gates as JUnit XML, one case a gate, which every CI system can show.

use super::text;
use crate::gates::{GateOutcome, GateState};
use crate::report::Report;

/// The content of a JUnit file. A gate that counts as failed is a failure; an undecided one that
/// counts as passed is skipped, so that it is seen.
pub fn render(report: &Report) -> String {
    let failures = report.gates.iter().filter(|gate| !gate.passed).count();
    let skipped = report.gates.iter().filter(|gate| is_skipped(gate)).count();
    let counts =
        format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"", report.gates.len());
    let cases: String = report.gates.iter().map(case).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"distill report\" {counts}>\n  \
         <testsuite name=\"gates\" {counts}>\n{cases}  </testsuite>\n</testsuites>\n"
    )
}

fn is_skipped(gate: &GateOutcome) -> bool {
    gate.passed && gate.state == GateState::Undecided
}

fn case(gate: &GateOutcome) -> String {
    let class = text::html(&format!("{}.{}", gate.data, gate.model));
    let (name, message) = (text::html(&gate.gate), text::html(&gate.text));
    let inside = if !gate.passed {
        format!("<failure type=\"{}\" message=\"{message}\"/>", gate.state.word().to_lowercase())
    } else if is_skipped(gate) {
        format!("<skipped message=\"{message}\"/>")
    } else {
        format!("<system-out>{message}</system-out>")
    };
    format!("    <testcase classname=\"{class}\" name=\"{name}\">{inside}</testcase>\n")
}
