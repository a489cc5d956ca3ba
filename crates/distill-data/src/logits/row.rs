//! One row of logits.

use distill_core::hash::TEXT_HASH_LEN;

use crate::error::Place;
use crate::source::{Label, RawLabel};

/// One row of a soft-target store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogitsRow {
    /// Position in the source, from 0.
    pub row: i64,
    /// The row's id.
    pub id: String,
    /// [`distill_core::hash::text_hash`] of the text fields.
    pub text_hash: [u8; TEXT_HASH_LEN],
    /// The text, where the store keeps texts.
    pub text: Option<String>,
    /// The second text, where there is one and the store keeps texts.
    pub text_pair: Option<String>,
    /// The words of a row of words, where the store keeps texts.
    pub tokens: Option<Vec<String>>,
    /// The class id, or what else a row is labelled with; none for an unlabelled row.
    pub label: Option<Label<i32>>,
    /// Numbers of the words that have logits, rising. Empty: the logits are those of the row. `[N]`
    pub positions: Vec<i32>,
    /// Untempered logits in the order of the label map, row-major; `N` is 1 without positions. `[N, C]`
    pub logits: Vec<f32>,
}

impl LogitsRow {
    /// What the positions are labelled with: of tags those of the words that have logits.
    pub fn label_at_positions(&self) -> Option<Label<i32>> {
        match &self.label {
            Some(Label::Tags(tags)) => {
                let tag = |position: &i32| tags.get(usize::try_from(*position).ok()?).copied().flatten();
                Some(Label::Tags(self.positions.iter().map(tag).collect()))
            }
            label => label.clone(),
        }
    }
}

/// One row of a table of logits, whoever wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// The table's `row` where it has one, else the position in the table, from 0.
    pub row: i64,
    /// The table's `id` where it has one, else `row` as text.
    pub id: String,
    /// `text_hash`, where the table has it.
    pub text_hash: Option<[u8; TEXT_HASH_LEN]>,
    /// The text, where the table has it.
    pub text: Option<String>,
    /// The second text, where the table has it.
    pub text_pair: Option<String>,
    /// The words, where the table has them.
    pub tokens: Option<Vec<String>>,
    /// The label as it stands in the table.
    pub label: Option<Label<RawLabel>>,
    /// Numbers of the words that have logits, where rows have several predictions. `[N]`
    pub positions: Option<Vec<i32>>,
    /// Logits, all finite, as many for a prediction as in every other row of the table. `[N, C]`
    pub logits: Vec<f32>,
    /// Where it was read, for messages.
    pub place: Place,
}
