//! A report as people and programs read it. Every document is built in memory before the first
//! file is touched, and every file appears whole or not at all.

pub mod about;
pub mod card;
pub mod card_notes;
pub mod changes;
mod class_tables;
mod comparison_tables;
pub mod format;
pub mod github;
pub mod html;
mod json;
pub mod junit;
pub mod markdown;
mod model_tables;
pub mod svg;
pub mod table;
pub mod terminal;
pub mod text;

use std::path::{Path, PathBuf};

use distill_core::atomic;

use crate::error::ReportError;
use crate::report::Report;

/// Writes `report.json`, `report.md` and `report.html` into `directory`, which must exist; returns their paths.
///
/// # Errors
/// [`ReportError::File`] naming the file that cannot be written.
pub fn write(report: &Report, directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let documents = [
        ("report.json", json(report)?),
        ("report.md", markdown::render(report)),
        ("report.html", html::render(report)),
    ];
    let mut paths = Vec::with_capacity(documents.len());
    for (name, content) in documents {
        let path = directory.join(name);
        atomic::write(&path, content.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}

/// The content of `report.json`.
///
/// # Errors
/// [`ReportError::Json`], which would be a defect.
pub fn json(report: &Report) -> Result<String, ReportError> {
    let mut text = json::text(report)?;
    text.push('\n');
    Ok(text)
}
