//! GitHub Actions: the step summary and annotations.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use distill_core::atomic::FileError;

use super::{markdown, text};
use crate::error::ReportError;
use crate::gates::GateState;
use crate::report::Report;

/// Bytes that GitHub takes of one step's summary.
const LIMIT: u64 = 1 << 20;

/// Appends the report to the file that `GITHUB_STEP_SUMMARY` names: all of it where that fits into
/// the limit next to what the file holds already, else verdict, gates and models, else nothing.
///
/// # Errors
/// [`ReportError::File`] naming the file.
pub fn append_summary(report: &Report, path: &Path) -> Result<(), ReportError> {
    // Others write to this file too, so it is appended to and not replaced. It is the user's own and may be a link, such
    // as /dev/stdout.
    let mut file =
        OpenOptions::new().create(true).append(true).open(path).map_err(FileError::of("open", path))?;
    let held = file.metadata().map_err(FileError::of("read", path))?.len();
    if let Some(summary) = summary(report, LIMIT.saturating_sub(held)) {
        file.write_all(summary.as_bytes()).map_err(FileError::of("write", path))?;
    }
    Ok(())
}

/// The fullest summary that fits into `room` bytes.
fn summary(report: &Report, room: u64) -> Option<String> {
    [markdown::render(report), markdown::brief(report)].into_iter().find(|text| text.len() as u64 <= room)
}

/// Workflow commands to print, one a line: an error for each gate that counts as failed, a warning
/// for each undecided one that counts as passed.
pub fn annotations(report: &Report) -> String {
    let mut out = String::new();
    for gate in &report.gates {
        let (command, title) = match (gate.passed, gate.state) {
            (false, GateState::Undecided) => ("error", "Quality gate undecided"),
            (false, _) => ("error", "Quality gate failed"),
            (true, GateState::Undecided) => ("warning", "Quality gate undecided"),
            (true, _) => continue,
        };
        let message = format!("{} ({}): {}", gate.gate, gate.data, gate.text);
        out.push_str(&format!("::{command} title={title}::{}\n", escape(&message)));
    }
    for finding in report.findings.iter().filter(|finding| finding.is_serious) {
        let data = finding.data.as_deref().map(|data| format!(" ({data})")).unwrap_or_default();
        out.push_str(&format!("::warning title=Finding::{}\n", escape(&format!("{}{data}", finding.text))));
    }
    out
}

/// A message in which nothing can end the command or begin another.
fn escape(message: &str) -> String {
    text::lines(&text::visible(message)).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
