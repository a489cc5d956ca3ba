//! The gates as JUnit XML, one test case per gate, which every CI system can show.

use super::text;
use crate::gates::{GateOutcome, GateState};
use crate::report::{Finding, Report};

/// The content of a JUnit file. A gate that counts as failed is a failure; an undecided one that counts as passed is
/// skipped, so that it is visible. Findings are properties of the suite, and sentences in its output with the verdict.
pub fn render(report: &Report) -> String {
    let failures = report.gates.iter().filter(|gate| !gate.passed).count();
    let skipped = report.gates.iter().filter(|gate| is_skipped(gate)).count();
    let counts =
        format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"{skipped}\"", report.gates.len());
    let cases: String = report.gates.iter().map(case).collect();
    let (properties, output) = findings(report);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"distill report\" {counts}>\n  \
         <testsuite name=\"gates\" {counts}>\n{properties}{cases}{output}  </testsuite>\n</testsuites>\n"
    )
}

/// The findings as `<properties>`, which come before the cases, and as `<system-out>`, which comes after them. Nothing
/// without findings: a gate's own case has its sentence.
fn findings(report: &Report) -> (String, String) {
    if report.findings.is_empty() {
        return Default::default();
    }
    let property = |finding: &Finding| {
        let (kind, sentence) = (finding.kind.name(), text::html(&sentence(finding)));
        format!("      <property name=\"finding.{kind}\" value=\"{sentence}\"/>\n")
    };
    let properties: String = report.findings.iter().map(property).collect();
    let line = |finding: &Finding| {
        let weight = if finding.is_serious { "serious finding" } else { "finding" };
        let advice = finding.advice.as_deref().map(|advice| format!(" ({advice})")).unwrap_or_default();
        text::html(&format!("{weight}: {}{advice}", sentence(finding)))
    };
    let lines: Vec<String> = report.findings.iter().map(line).collect();
    let (verdict, lines) = (text::html(&report.verdict.text), lines.join("\n"));
    (
        format!("    <properties>\n{properties}    </properties>\n"),
        format!("    <system-out>{verdict}\n{lines}</system-out>\n"),
    )
}

/// The finding's sentence with its data set.
fn sentence(finding: &Finding) -> String {
    let data = finding.data.as_deref().map(|data| format!(" ({data})")).unwrap_or_default();
    format!("{}{data}", finding.text)
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
