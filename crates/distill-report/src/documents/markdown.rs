//! `report.md`: verdict, gates, models, classes, confusion.

use super::about;
use super::format::percent;
use super::table::{self, Room, Table};
use super::text;
use crate::kinds;
use crate::report::{DataReport, Outcome, Report};

/// Labels up to which the confusion matrix is shown whole.
const MATRIX_LABELS: usize = 20;
/// Confusions that are listed where it is not.
const CONFUSIONS: usize = 20;

/// The content of `report.md`.
pub fn render(report: &Report) -> String {
    let mut out = head(report);
    for set in &report.data {
        out.push_str(&data_head(set));
        data_set(&mut out, set);
    }
    if let Some(about) = &report.about {
        out.push_str(&format!("\n## What this report is about\n\n{}", about::table(about).markdown()));
        let data = about::data(about);
        if !data.rows.is_empty() {
            out.push_str(&format!("\n{}", data.markdown()));
        }
        out.push_str(&format!("\n{}\n", text::markdown(&about::versions(about))));
    }
    out.push_str(&foot(report));
    out
}

/// Verdict, gates and models without the rest, for places that are short of room.
pub fn brief(report: &Report) -> String {
    let sets: String = report.data.iter().map(data_head).collect();
    format!("{}{sets}{}", head(report), foot(report))
}

fn head(report: &Report) -> String {
    let outcome = match report.verdict.outcome {
        Outcome::Passed if report.verdict.has_serious_finding => "**The gates passed, but:** ",
        Outcome::Passed => "**Passed.** ",
        Outcome::Failed => "**Failed.** ",
        Outcome::NoGates => "",
    };
    let title = report.about.as_ref().map(|about| format!(": {}", text::markdown(&about.title())));
    let title = title.unwrap_or_default();
    let mut out =
        format!("# Distillation report{title}\n\n{outcome}{}.\n", text::markdown(&report.verdict.text));
    out.push_str(&findings(report));
    if !report.gates.is_empty() {
        out.push_str(&format!("\n## Gates\n\n{}", gates(report).markdown()));
    }
    if report.data.len() > 1 {
        out.push_str(&format!("\n## All data sets\n\n{}", table::across(report).markdown()));
    }
    out
}

/// Findings that are not in the verdict, and what to do about all of them.
fn findings(report: &Report) -> String {
    let said = report.findings.iter().filter(|finding| !finding.is_serious || finding.advice.is_some());
    let lines: String = said
        .map(|finding| {
            let text = text::markdown(&finding.text);
            let advice = finding.advice.as_deref().map(text::markdown);
            format!(
                "- {text}{}.\n",
                advice.map(|advice| format!(". {}", text::capitalized(&advice))).unwrap_or_default()
            )
        })
        .collect();
    if lines.is_empty() { lines } else { format!("\n## Findings\n\n{lines}") }
}

fn foot(report: &Report) -> String {
    let how = match report.intervals.resamples {
        0 => String::new(),
        resamples => format!(
            "Intervals cover {} of {resamples} bootstrap resamples (seed {}). ",
            percent(report.intervals.confidence),
            report.intervals.seed
        ),
    };
    let timed =
        report.timing.as_ref().map(|timing| text::markdown(&timing.sentence()) + " ").unwrap_or_default();
    format!("\n{timed}{how}Made by {} (report schema {}).\n", report.program, report.schema_version)
}

fn gates(report: &Report) -> Table {
    let mut table = Table::new(["gate", "data", "result", "measured"]);
    for gate in &report.gates {
        table.push([gate.gate.clone(), gate.data.clone(), gate.state.word().to_owned(), gate.text.clone()]);
    }
    table
}

fn data_head(set: &DataReport) -> String {
    let unlabelled = match set.rows - set.labelled {
        0 => String::new(),
        rows => format!(", {rows} more without a label"),
    };
    let (name, models) = (text::markdown(&set.name), table::models(set, Room::Wide).markdown());
    let mut out = format!("\n## {name}: {} rows{unlabelled}\n\n{models}", set.labelled);
    let costs = table::costs(set, Room::Wide);
    if !costs.rows.is_empty() {
        out.push_str(&format!("\n{}", costs.markdown()));
    }
    out
}

fn data_set(out: &mut String, set: &DataReport) {
    let slices = format!("Weakest slices: {}", set.slice_metric().title());
    let tables = [
        ("Every metric", table::metrics(set)),
        ("Differences between models", table::differences(set, &set.headlines(), table::difference_in_words)),
        ("Seeds", table::seeds(set)),
        ("Entities by kind of error", table::entity_errors(set)),
        (&slices, table::slices(set, 4)),
    ];
    for (title, table) in tables.into_iter().filter(|(_, table)| !table.rows.is_empty()) {
        out.push_str(&format!("\n### {title}\n\n{}", table.markdown()));
    }
    for errors in &set.errors {
        let name = text::markdown(&errors.model);
        let has_distances = kinds::of(set.problem_type).has_distances();
        let counts = match has_distances {
            true => {
                format!(
                    "{} rows on which it is further off than the teacher, {} nearer",
                    errors.lost, errors.won
                )
            }
            false => format!("{} rows lost that the teacher has right, {} won", errors.lost, errors.won),
        };
        out.push_str(&format!("\n### What {name} lost\n\n{counts}.\n"));
        let lost = match has_distances {
            true => "Rows with most more error than the teacher's",
            false => "Lost rows, surest first",
        };
        let lists = [
            (lost, table::error_rows(&errors.lost_rows)),
            ("Confusions that grew", table::grown_confusions(errors)),
            ("Likely label errors", table::error_rows(&errors.label_errors)),
        ];
        for (title, table) in lists.into_iter().filter(|(_, table)| !table.rows.is_empty()) {
            out.push_str(&format!("\n{title}:\n\n{}", table.markdown()));
        }
    }
    for model in set.models.iter().filter(|model| !model.classes.is_empty()) {
        let name = text::markdown(&model.name);
        let rest = table::left_out(table::listed_classes(model).1);
        let rest = if rest.is_empty() { rest } else { format!("\n{rest}\n") };
        out.push_str(&format!(
            "\n### Classes: {name}\n\n{}{rest}",
            table::classes(model, set.counted()).without_notes().markdown()
        ));
        if model.confusion.is_empty() && model.confusion_pairs.is_empty() {
            continue;
        }
        if set.labels.len() <= MATRIX_LABELS {
            out.push_str(&format!("\n### Confusion: {name}\n\n{}", table::confusion(set, model).markdown()));
        } else {
            let confusions = table::top_confusions(set, model, CONFUSIONS);
            out.push_str(&format!("\n### Most frequent confusions: {name}\n\n{}", confusions.markdown()));
        }
    }
}
