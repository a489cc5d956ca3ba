//! `report.md`: verdict, gates, models, classes, confusion.

use super::table::{self, Table};
use super::text;
use crate::report::{DataReport, Outcome, Report};

/// Labels up to which the confusion matrix is shown whole.
const MATRIX_LABELS: usize = 20;
/// Confusions that are listed where it is not.
const CONFUSIONS: usize = 20;

/// The content of `report.md`.
pub fn render(report: &Report) -> String {
    let outcome = match report.verdict.outcome {
        Outcome::Passed => "**Passed.** ",
        Outcome::Failed => "**Failed.** ",
        Outcome::NoGates => "",
    };
    let mut out = format!("# Distillation report\n\n{outcome}{}.\n", text::markdown(&report.verdict.text));
    if !report.gates.is_empty() {
        out.push_str(&format!("\n## Gates\n\n{}", gates(report).markdown()));
    }
    for set in &report.data {
        data_set(&mut out, set);
    }
    out.push_str(&format!("\nMade by {} (report schema {}).\n", report.program, report.schema_version));
    out
}

fn gates(report: &Report) -> Table {
    let mut table = Table::new(["gate", "data", "result", "measured"]);
    table.rows = report
        .gates
        .iter()
        .map(|gate| vec![gate.gate.clone(), gate.data.clone(), gate.state.word().to_owned(), gate.text.clone()])
        .collect();
    table
}

fn data_set(out: &mut String, set: &DataReport) {
    let unlabelled = match set.rows - set.labelled {
        0 => String::new(),
        rows => format!(", {rows} more without a label"),
    };
    let name = text::markdown(&set.name);
    out.push_str(&format!(
        "\n## {name}: {} rows{unlabelled}\n\n{}",
        set.labelled,
        table::models(set).markdown()
    ));
    out.push_str(&format!("\n### Averages\n\n{}", table::averages(set).markdown()));
    for model in &set.models {
        let name = text::markdown(&model.name);
        out.push_str(&format!("\n### Classes: {name}\n\n{}", table::classes(model).markdown()));
        if set.labels.len() <= MATRIX_LABELS {
            out.push_str(&format!("\n### Confusion: {name}\n\n{}", table::confusion(set, model).markdown()));
        } else {
            let confusions = table::top_confusions(set, model, CONFUSIONS);
            out.push_str(&format!("\n### Most frequent confusions: {name}\n\n{}", confusions.markdown()));
        }
    }
}
