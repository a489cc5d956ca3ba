//! The messages of a run. The library does not write to streams: the caller decides where messages go. What explains
//! a choice or warns goes through `tracing` besides.

use std::io;

use distill_report::documents::terminal::TerminalStyle;

/// Receives what a run says. By default all of it is dropped.
///
/// ```
/// use std::sync::Mutex;
///
/// use distill_run::messages::Messages;
///
/// #[derive(Default)]
/// struct Kept(Mutex<Vec<String>>);
///
/// impl Messages for Kept {
///     fn status(&self, text: &str) {
///         self.0.lock().unwrap().push(text.to_owned());
///     }
/// }
///
/// let kept = Kept::default();
/// kept.status("stage 1 of 4");
/// kept.problem("is dropped");
/// assert_eq!(*kept.0.lock().unwrap(), ["stage 1 of 4"]);
/// ```
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
