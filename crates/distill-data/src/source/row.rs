//! One row of the input.

use distill_core::hash::{TEXT_HASH_LEN, text_hash};
use distill_task::Label;

use super::found::Found;
use super::labels::RawLabel;
use crate::error::Place;

/// One row as it was read. Texts are valid UTF-8 and may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Position in the source, from 0; over all shards of a directory.
    pub row: u64,
    /// The row's id where the source has one, else its position.
    pub id: String,
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// The words of a row of words; then the text is these with a space between each two.
    pub tokens: Option<Vec<String>>,
    /// The label, or none.
    pub label: Option<Label<RawLabel>>,
    /// Where it was read, for messages.
    pub place: Place,
}

impl Row {
    /// The hash that a soft target is joined by: over the text and the second text, or over the words.
    pub fn text_hash(&self) -> [u8; TEXT_HASH_LEN] {
        hash_of(&self.text, self.text_pair.as_deref(), self.tokens.as_deref())
    }
}

/// [`distill_core::hash::text_hash`] of texts; of words that of all of them, with U+001F between each two: words may have
/// spaces in them.
pub fn hash_of(text: &str, text_pair: Option<&str>, tokens: Option<&[String]>) -> [u8; TEXT_HASH_LEN] {
    match tokens {
        Some(words) => text_hash(&words.join("\u{1f}"), None),
        None => text_hash(text, text_pair),
    }
}

/// What a format's reader finds in one row.
#[derive(Debug)]
pub(super) struct RawRow {
    pub(super) id: Option<String>,
    pub(super) text: String,
    pub(super) text_pair: Option<String>,
    pub(super) tokens: Option<Vec<String>>,
    pub(super) label: Option<Found>,
    pub(super) place: Place,
}
