//! The two streams. Nothing else in the binary writes to them.

use std::io::{self, IsTerminal, Write};

/// Says something to the person, on stderr. A closed stderr is not worth failing for.
pub fn talk(text: &str) {
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

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
