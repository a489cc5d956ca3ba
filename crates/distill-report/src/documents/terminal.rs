//! The report on a terminal: verdict, models, gates, files.

use std::path::PathBuf;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, TableStyle};

use super::table::{self, Room, Table};
use super::text::visible;
use crate::gates::GateState;
use crate::report::{Outcome, Report};

/// What the terminal can show. The default is a log file: ASCII, no colour, any width.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TerminalStyle {
    /// Box-drawing characters for the rules.
    pub unicode: bool,
    /// ANSI colours for the words that matter.
    pub color: bool,
    /// Columns; tables wrap their cells within it.
    pub width: Option<u16>,
}

/// The text to print, ending in a line break; `files` are where the documents are.
pub fn render(report: &Report, files: &[PathBuf], style: TerminalStyle) -> String {
    let mut out = String::new();
    let verdict = visible(&report.verdict.text);
    out.push_str(&match report.verdict.outcome {
        Outcome::Passed if report.verdict.has_serious_finding => {
            format!("{}  {verdict}\n", paint("PASSED, BUT", YELLOW, style))
        }
        Outcome::Passed => format!("{}  {verdict}\n", paint("PASSED", GREEN, style)),
        Outcome::Failed => format!("{}  {verdict}\n", paint("FAILED", RED, style)),
        Outcome::NoGates => format!("{verdict}\n"),
    });
    if let Some(about) = &report.about {
        out.push_str(&format!("{}\n", visible(&about.title())));
    }
    for finding in &report.findings {
        if !finding.is_serious {
            out.push_str(&format!("{}  {}\n", paint("note", YELLOW, style), visible(&finding.text)));
        }
        if let Some(advice) = &finding.advice {
            out.push_str(&format!("{}  {}\n", paint("advice", YELLOW, style), visible(advice)));
        }
    }
    for set in &report.data {
        out.push_str(&format!("\n{} ({} rows)\n", visible(&set.name), set.labelled));
        out.push_str(&draw(&table::models(set, Room::Narrow), style));
        let seeds = table::seeds(set);
        if !seeds.rows.is_empty() {
            out.push_str(&format!("\n{}", draw(&ascii(seeds), style)));
        }
    }
    // What a model costs does not depend on the data set.
    let costs = report.data.first().map(|set| table::costs(set, Room::Narrow)).unwrap_or_default();
    if !costs.rows.is_empty() {
        out.push_str(&format!("\ncost\n{}", draw(&costs, style)));
    }
    if report.data.len() > 1 {
        out.push_str(&format!(
            "\n{} on all data sets\n{}",
            headlines(report),
            draw(&table::across_short(report), style)
        ));
    }
    if !report.gates.is_empty() {
        out.push_str("\ngates\n");
    }
    for gate in &report.gates {
        let state = match gate.state {
            GateState::Passed => paint("pass", GREEN, style),
            GateState::Failed => paint("FAIL", RED, style),
            GateState::Undecided => paint("open", YELLOW, style),
        };
        let data = if report.data.len() > 1 { format!(" [{}]", visible(&gate.data)) } else { String::new() };
        out.push_str(&format!("  {state}  {}{data}\n        {}\n", visible(&gate.gate), visible(&gate.text)));
    }
    if !files.is_empty() {
        out.push_str("\nfiles\n");
    }
    files.iter().for_each(|file| out.push_str(&format!("  {}\n", visible(&file.display().to_string()))));
    out
}

/// The metrics that say most, each once.
fn headlines(report: &Report) -> String {
    let mut titles: Vec<&str> = report.data.iter().map(|set| set.headlines()[0].title()).collect();
    titles.dedup();
    titles.join(", ")
}

/// Logs and terminals may not know the plus-minus sign.
fn ascii(mut table: Table) -> Table {
    table.rows.iter_mut().flatten().for_each(|cell| cell.text = cell.text.replace('±', "+-"));
    table
}

/// A table with a rule under its titles, numbers to the right, ending in a line break.
pub fn draw(table: &Table, style: TerminalStyle) -> String {
    let mut drawn = comfy_table::Table::new();
    let rule = if style.unicode { '─' } else { '-' };
    drawn.load_style(TableStyle::new().header_separator(LineStyle::none().fill(rule).junction(rule)));
    if let Some(width) = style.width {
        drawn.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    drawn.set_header(table.header.iter().map(|cell| visible(cell)));
    for row in &table.rows {
        drawn.add_row(row.iter().map(|cell| visible(&cell.line())));
    }
    drawn.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    format!("{}\n", drawn.trim_fmt())
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

fn paint(word: &str, color: &str, style: TerminalStyle) -> String {
    if style.color { format!("\u{1b}[1;{color}m{word}\u{1b}[0m") } else { word.to_owned() }
}
