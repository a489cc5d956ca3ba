//! `distill report --compare OLD NEW`: what changed between two reports.

use std::path::{Path, PathBuf};

use distill_report::documents::changes;
use distill_report::gates::baseline;
use distill_report::{Report, ReportError};

use crate::args::Common;
use crate::exit::Status;
use crate::output::console::style;
use crate::output::{logging, printer};

/// Prints the changes from the first report to the second.
///
/// # Errors
/// [`ReportError`] for a file that is not a report of this schema.
pub fn compare(paths: &[PathBuf], common: &Common) -> anyhow::Result<Status> {
    logging::start(common)?;
    let [old, new] = paths else { anyhow::bail!(crate::exit::RunError::usage("--compare takes two reports")) };
    let changes = changes::changes(&read(old)?, &read(new)?);
    match common.json {
        true => printer::json(&serde_json::to_string_pretty(&changes)?)?,
        false => printer::styled(&changes::terminal(&changes, style()))?,
    }
    Ok(Status::Done)
}

/// A report, or the one in a directory.
fn read(path: &Path) -> Result<Report, ReportError> {
    if path.is_dir() { baseline::read(&path.join("report.json")) } else { baseline::read(path) }
}
