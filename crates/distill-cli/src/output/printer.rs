//! The two streams. Nothing else in the binary writes to them, so that no name from outside reaches a terminal or a log
//! with what it may hold: escape sequences, text that turns its direction, commands to a CI system.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use distill_core::text;

use crate::output::figures;

// Sizes are printed as in a report.
pub use distill_report::documents::format::bytes;

static QUIET: AtomicBool = AtomicBool::new(false);
static JSON: AtomicBool = AtomicBool::new(false);

/// How the rest of the process talks: not at all besides errors, or in JSON log lines.
pub fn choose_tone(quiet: bool, json: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
    JSON.store(json, Ordering::Relaxed);
}

/// Says something to the person, on stderr, unless they asked for quiet.
pub fn status(said: &str) {
    if JSON.load(Ordering::Relaxed) {
        tracing::info!("{said}");
    } else if !QUIET.load(Ordering::Relaxed) {
        line(&text::lines(said));
    }
}

/// Says what went wrong, on stderr.
pub fn complain(said: &str) {
    if JSON.load(Ordering::Relaxed) {
        tracing::error!("{said}");
    } else {
        line(&text::lines(said));
    }
}

/// Prints a CI system's workflow commands on stderr, however quiet or in whatever form all else is said. What stands in
/// them from outside is escaped already.
pub fn annotate(lines: &str) {
    lines.lines().for_each(line);
}

/// A closed stderr is not worth failing for.
fn line(shown: &str) {
    if let Err(error) = writeln!(io::stderr().lock(), "{}", folded(shown)) {
        tracing::trace!("stderr: {error}");
    }
}

/// Prints a result for people on stdout.
///
/// # Errors
/// The system's, such as a closed pipe.
pub fn result(found: &str) -> io::Result<()> {
    out(&within(&console::Term::stdout(), &text::lines(found)))
}

/// As [`result`], of a text with colours of our own, in which every name is escaped already. Where no terminal shows it,
/// as when an earlier run wrote it on one, they are left out.
///
/// # Errors
/// As [`result`].
pub fn styled(found: &str) -> io::Result<()> {
    let has_colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let shown = if has_colours { text::coloured(found) } else { text::lines(&text::without_colours(found)) };
    out(&within(&console::Term::stdout(), &shown))
}

/// Prints a JSON document on stdout.
///
/// # Errors
/// As [`result`].
pub fn json(document: &str) -> io::Result<()> {
    out(&text::json(document))
}

fn out(shown: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", shown.trim_end_matches('\n'))?;
    stdout.flush()
}

/// The text as it is shown on stderr: on a terminal no line is wider than that.
pub fn folded(text: &str) -> String {
    within(&console::Term::stderr(), text)
}

/// The text in lines that fit the terminal; unchanged where there is none.
fn within(terminal: &console::Term, text: &str) -> String {
    match terminal.size_checked() {
        Some((_, columns)) => figures::fold(text, usize::from(columns)),
        None => text.to_owned(),
    }
}

/// Whether a person watches stderr.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}
