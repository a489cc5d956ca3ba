//! The top of the page: verdict, the figures that matter, gates, data sets side by side.

use super::table;
use crate::documents::table::{self as words, Cell, Table};
use crate::documents::{format, text};
use crate::gates::quantity::Unit;
use crate::gates::{Gate, GateOutcome, GateState, number};
use crate::predictions::Role;
use crate::report::{DataReport, Figure, Finding, Outcome, Report};

/// Everything above the first data set.
pub fn render(report: &Report) -> String {
    let (class, word) = match report.verdict.outcome {
        Outcome::Passed if report.verdict.has_serious_finding => ("caution", "<b>The gates passed, but:</b> "),
        Outcome::Passed => ("passed", "<b>Passed.</b> "),
        Outcome::Failed => ("failed", "<b>Failed.</b> "),
        Outcome::NoGates => ("", ""),
    };
    let verdict = text::html(&report.verdict.text);
    let mut out = format!("<div class=\"verdict {class}\" role=\"status\">{word}{verdict}.</div>");
    out.push_str(&findings(report));
    if let Some(set) = report.data.first() {
        out.push_str(&tiles(set));
    }
    if !report.gates.is_empty() {
        out.push_str(&format!("<h2>Gates</h2>{}", gates(report)));
    }
    if report.data.len() > 1 {
        out.push_str(&format!(
            "<h2>All data sets</h2>{}",
            table::draw("all data sets", &words::across(report))
        ));
    }
    out
}

/// Findings with what to do about them.
fn findings(report: &Report) -> String {
    // A serious finding is in the verdict already: here is what to do about it.
    let is_said = report.findings.iter().filter(|finding| finding.is_serious).count() == 1;
    let line = |finding: &Finding| {
        if finding.is_serious && is_said {
            let advice = finding.advice.as_deref().map(text::html);
            return advice.map(|advice| format!("<li>{advice}.</li>")).unwrap_or_default();
        }
        let advice = finding
            .advice
            .as_deref()
            .map(|advice| format!("<br><span class=\"soft\">{}.</span>", text::html(advice)));
        format!("<li>{}.{}</li>", text::html(&finding.text), advice.unwrap_or_default())
    };
    let lines: String = report.findings.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("<ul class=\"findings\">{lines}</ul>") }
}

fn tiles(set: &DataReport) -> String {
    let Some(model) = set.with_role(Role::Student).or(set.models.first()) else { return String::new() };
    let [headline, second] = set.headlines();
    let kept_title = format!("of the teacher's {} kept", headline.title());
    let mut tiles: Vec<(String, &str, String)> = Vec::new();
    let mut share = |title, figure: Option<&Figure>| {
        if let Some(figure) = figure {
            let interval = figure
                .interval
                .map(|[low, high]| format!("{} to {}", format::percent(low), format::percent(high)));
            tiles.push((format::percent(figure.value), title, interval.unwrap_or_default()));
        }
    };
    share(headline.title(), model.metrics.get(&headline));
    // A figure without an upper limit is no share.
    if second.range()[1] <= 1.0 {
        share(second.title(), model.metrics.get(&second));
    }
    if let Some(against) = &model.against_teacher {
        share(&kept_title, against.kept.get(&headline));
        share("of the gap closed", against.gap_closed.get(&headline));
        if against.no_gap.contains(&headline) {
            let note = "the teacher is not shown to be better than the baseline".to_owned();
            tiles.push(("no gap".to_owned(), "to close", note));
        }
        if let Some(speed_up) = against.speed_up {
            let range = against.speed_up_interval.map(|ends| ends.map(format::times).join(" to "));
            tiles.push((format::times(speed_up), "the teacher's speed", range.unwrap_or_default()));
        }
    }
    if let Some(gain) = model.against_baseline.as_ref().and_then(|against| against.gain.get(&headline)) {
        let interval = gain.interval.map(|[low, high]| format!("{low:+.4} to {high:+.4}"));
        tiles.push((
            format!("{:+.4}", gain.value),
            "gain over the student without a teacher",
            interval.unwrap_or_default(),
        ));
    }
    if let Some(cost) = model.cost {
        tiles.push((format::count(cost.parameters), "parameters", format::bytes(cost.bytes)));
    }
    let mut out = format!("<ul class=\"tiles\" aria-label=\"{} in short\">", text::html(&model.name));
    for (value, title, note) in tiles {
        let hint = table::hint(title);
        out.push_str(&format!("<li{hint}><b>{value}</b>{title}<br><span class=\"i\">{note}</span></li>"));
    }
    out.push_str("</ul>");
    out
}

fn gates(report: &Report) -> String {
    let mut gates = Table::new(["gate", "result", "measured", "model", "data"]);
    for gate in &report.gates {
        let class = match gate.state {
            GateState::Passed => "passed",
            GateState::Failed => "failed",
            GateState::Undecided => "undecided",
        };
        gates.push([
            Cell::text(&gate.gate),
            Cell { class: Some(class), ..Cell::text(gate.state.word()) },
            gate.value.map_or(Cell::none(), |value| measured(gate, value)),
            Cell::text(&gate.model),
            Cell::text(&gate.data),
        ]);
    }
    table::draw("gates", &gates)
}

fn measured(gate: &GateOutcome, value: f64) -> Cell {
    let unit = Gate::parse(&gate.gate).map_or(Unit::Share, |gate| gate.quantity.unit());
    let interval = gate.interval.map(|ends| ends.map(|end| number::show(end, unit)).join(" to "));
    Cell::number(number::show(value, unit), value).noted(interval)
}
