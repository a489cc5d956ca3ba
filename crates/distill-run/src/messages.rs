//! What a run says while it works. The library writes to no stream: whoever runs it decides where the words go. What explains
//! a choice or warns goes through `tracing` besides.

use std::io;

use distill_report::documents::terminal::TerminalStyle;

/// Receives what a run says. By default all of it is dropped.
pub trait Messages: Send + Sync {
    /// What is being done, in a line.
    fn status(&self, _text: &str) {}

    /// One of several things that are wrong; the error that follows counts them.
    fn problem(&self, _text: &str) {}

    /// Workflow commands for a CI system, one a line, with all names escaped.
    fn annotate(&self, _lines: &str) {}

    /// The result of a stage of a pipeline for people, as soon as it is there.
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

/// Messages that nobody reads.
pub struct Silent;

impl Messages for Silent {}
