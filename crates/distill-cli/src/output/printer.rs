//! The two streams. Nothing else in the binary writes to them.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

// One size reads the same in what is said and in a report.
pub use distill_report::documents::format::bytes;

static QUIET: AtomicBool = AtomicBool::new(false);
static JSON: AtomicBool = AtomicBool::new(false);

/// How the rest of the process talks: not at all besides errors, or in JSON log lines.
pub fn choose_tone(quiet: bool, json: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
    JSON.store(json, Ordering::Relaxed);
}

/// Says something to the person, on stderr, unless they asked for quiet.
pub fn talk(text: &str) {
    if JSON.load(Ordering::Relaxed) {
        tracing::info!("{text}");
    } else if !QUIET.load(Ordering::Relaxed) {
        line(text);
    }
}

/// Says what went wrong, on stderr.
pub fn complain(text: &str) {
    if JSON.load(Ordering::Relaxed) {
        tracing::error!("{text}");
    } else {
        line(text);
    }
}

/// Prints a CI system's workflow commands on stderr, however quiet or in whatever form all else is said.
pub fn annotate(lines: &str) {
    lines.lines().for_each(line);
}

/// A closed stderr is not worth failing for.
fn line(text: &str) {
    if let Err(error) = writeln!(io::stderr().lock(), "{text}") {
        tracing::trace!("stderr: {error}");
    }
}

/// Prints a result on stdout.
///
/// # Errors
/// The system's, such as a closed pipe.
pub fn result(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
    stdout.flush()
}

/// Whether a person watches stderr.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
