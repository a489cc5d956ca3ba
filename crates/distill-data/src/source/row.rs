//! One row of the input.

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
    /// The label, or none.
    pub label: Option<Label<RawLabel>>,
    /// Where it was read, for messages.
    pub place: Place,
}

/// What a format's reader finds in one row.
#[derive(Debug)]
pub(super) struct RawRow {
    pub(super) id: Option<String>,
    pub(super) text: String,
    pub(super) text_pair: Option<String>,
    pub(super) label: Option<Found>,
    pub(super) place: Place,
}
