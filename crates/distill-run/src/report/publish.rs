//! A finished report for others: JUnit XML, GitHub's step summary and annotations, the student's model card.
//! All of it follows from `report.json`, so it also comes of a report that was up to date.

use std::path::Path;

use distill_core::atomic::{self, FileError};
use distill_report::documents::card::{self, CardInfo};
use distill_report::documents::card_notes::{self, Card};
use distill_report::documents::{github, junit};
use distill_report::{Report, ReportError, Role};

use super::named::Entry;
use crate::error::Result;
use crate::messages::Messages;
use crate::outfile::{self, Kind};

/// Writes the gates as JUnit XML.
///
/// # Errors
/// [`crate::error::RunError`] for a file that `distill` did not write; [`FileError`] naming the file.
pub fn write_junit(report: &Report, path: &Path, messages: &dyn Messages) -> Result<()> {
    outfile::write(path, &junit::render(report), Kind::Junit)?;
    messages.status(&format!("gates as JUnit XML: {}", path.display()));
    Ok(())
}

/// In a job of GitHub Actions: appends to its step summary, and annotates gates that failed.
///
/// # Errors
/// [`ReportError`] where the summary cannot be appended to.
pub fn tell_github(report: &Report, messages: &dyn Messages) -> Result<(), ReportError> {
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        github::append_summary(report, Path::new(&path))?;
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        messages.annotate(&github::annotations(report));
    }
    Ok(())
}

/// Fills the model card in the directory of every student. What a user wrote around it stays; a card that `distill` did
/// not write, or whose own part was changed, is left unchanged.
///
/// # Errors
/// [`FileError`] naming the card.
pub fn write_cards(report: &Report, entries: &[Entry]) -> Result<(), FileError> {
    for entry in entries.iter().filter(|entry| entry.role == Role::Student) {
        let path = entry.path.join("README.md");
        let old = match std::fs::read_to_string(&path) {
            Ok(old) => Some(old),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(FileError::new("read", &path, error)),
        };
        let ours = old.as_deref().map(card_notes::ours);
        let training = ours.as_deref().and_then(training).map(str::to_owned);
        let info = CardInfo { model: entry.name.clone(), training, ..CardInfo::default() };
        let Some(card) = card::render(report, &info) else { continue };
        let new = match &old {
            None => Some(card_notes::mark(&card)),
            Some(old) => card_notes::update(old, &card),
        };
        match new {
            None => say_why(&path, old.as_deref().unwrap_or_default()),
            Some(new) if Some(&new) != old.as_ref() => {
                atomic::remove_left_overs(&path);
                atomic::write(&path, new.as_bytes())?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn say_why(path: &Path, old: &str) {
    let path = path.display();
    match card_notes::whose(old) {
        Card::Changed => tracing::warn!(
            "{path} was changed between the marks that distill sets, and is left unchanged; text above and below \
             the marks is always kept"
        ),
        _ => tracing::warn!("{path} was not written by distill and is left unchanged"),
    }
}

const MADE: &str = "Made by `distill ";
const TITLE: &str = "\n## Training\n";

/// How the model was trained, as the training stage or an earlier report wrote it.
fn training(card: &str) -> Option<&str> {
    let from = match card.find(TITLE) {
        Some(title) => title + TITLE.len(),
        None => card.find(MADE)?,
    };
    let rest = &card[from..];
    Some(rest.find("\n## ").map_or(rest, |end| &rest[..end]).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_model_was_trained_is_kept_however_often_its_card_is_written() {
        let trained = "---\n---\n\n# Text classifier\n\n3 layers.\n\nMade by `distill student` with\n\n    loss = 1\n\nover 9 rows.\n";
        let kept = "Made by `distill student` with\n\n    loss = 1\n\nover 9 rows.";
        assert_eq!(training(trained), Some(kept));
        let filled =
            format!("# student\n\n## Results\n\n## Training\n\n{kept}\n\n## Use\n\nWritten by distill 0.1\n");
        assert_eq!(training(&filled), Some(kept));
        assert_eq!(training("# student\n\nWritten by distill 0.1\n"), None);
    }
}
