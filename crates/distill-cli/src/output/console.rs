//! What a run says, on the two streams.

use std::io::{self, IsTerminal};

use distill_report::documents::terminal::TerminalStyle;
use distill_run::messages::Messages;

use crate::output::printer;

/// Messages on stderr, and results on stdout as they come.
pub struct Console {
    /// Whether stdout is for one JSON document at the end.
    pub json: bool,
}

impl Messages for Console {
    fn status(&self, text: &str) {
        printer::status(text);
    }

    fn problem(&self, text: &str) {
        printer::complain(text);
    }

    fn annotate(&self, lines: &str) {
        printer::annotate(lines);
    }

    fn result(&self, text: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { printer::styled(text) }
    }

    fn style(&self) -> TerminalStyle {
        style()
    }
}

/// How a report is drawn on stdout.
pub fn style() -> TerminalStyle {
    let watched = io::stdout().is_terminal();
    TerminalStyle { unicode: watched, color: watched && std::env::var_os("NO_COLOR").is_none(), width: None }
}
