//! The messages of a run. The library does not write to streams: the caller decides where messages go. What explains
//! a choice or warns goes through `tracing` besides.

use std::io;

use distill_report::documents::terminal::TerminalStyle;

/// Receives what a run says. By default all of it is dropped.
pub trait Messages: Send + Sync {
    /// What is being done, in a line.
    fn status(&self, _text: &str) {}

    /// One of several problems; the error that follows has their number.
    fn problem(&self, _text: &str) {}

    /// Workflow commands for a CI system, one a line, with all names escaped.
    fn annotate(&self, _lines: &str) {}

    /// The result of a pipeline's stage, for people, as soon as it exists.
    ///
    /// # Errors
    /// The stream's, such as a closed pipe: the run ends.
    fn result(&self, _text: &str) -> io::Result<()> {
        Ok(())
    }

    /// How a report is drawn for people.
    fn style(&self) -> TerminalStyle {
        TerminalStyle { unicode: false, color: false, width: None }
    }
}

/// Discards messages.
pub struct Silent;

impl Messages for Silent {}
