//! What is said of rows that could have been read in another way.

use std::fmt;

/// A sentence about how a source was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// Whether it may well be a mistake.
    pub is_warning: bool,
    /// The sentence, which names the file.
    pub text: String,
}

impl Note {
    pub(super) fn said(text: String) -> Self {
        Note { is_warning: false, text }
    }

    pub(super) fn warning(text: String) -> Self {
        Note { is_warning: true, text }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
