//! One row of logits.

use distill_core::hash::TEXT_HASH_LEN;
use distill_task::{Positions, TaskId};

use crate::error::Place;
use crate::source::{Label, RawLabel};

/// The position that stands for "no answer in this window": each window begins with it.
pub const NO_ANSWER: i32 = -1;

/// Whether positions have the order that their task asks for.
///
/// # Errors
/// What was expected, in words.
pub(super) fn check_positions(positions: &[i32], task: TaskId) -> Result<(), &'static str> {
    match task.positions() {
        Positions::Span => {
            let is_window = |window: &[i32]| window.windows(2).all(|pair| pair[0] <= pair[1]);
            let mut windows = positions.chunk_by(|_, next| *next != NO_ANSWER);
            let begins = |window: &[i32]| window.first() == Some(&NO_ANSWER);
            match windows.all(|window| begins(window) && is_window(window)) {
                true => Ok(()),
                false => Err("windows of -1 and then characters of the text, rising"),
            }
        }
        Positions::Row | Positions::Word | Positions::Masked => {
            let rising = positions.windows(2).all(|pair| pair[0] < pair[1]);
            match rising && positions.first().is_none_or(|first| *first >= 0) {
                true => Ok(()),
                false => Err("whole numbers that rise from 0 on"),
            }
        }
    }
}

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
    /// What has logits; empty: the row. Of words their numbers, rising. Of answers, window by window, [`NO_ANSWER`] and where
    /// each token of the window begins in the text, in characters. `[N]`
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
    /// What has logits, where rows have several predictions, as in [`LogitsRow`]. `[N]`
    pub positions: Option<Vec<i32>>,
    /// Logits, all finite, as many for a prediction as in every other row of the table. `[N, C]`
    pub logits: Vec<f32>,
    /// Where it was read, for messages.
    pub place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_words_rise_and_those_of_answers_rise_within_their_windows() {
        let ok = |positions: &[i32], task| check_positions(positions, task).is_ok();
        let (words, answers) = (TaskId::TOKEN_CLASSIFICATION, TaskId::QUESTION_ANSWERING);
        assert!(ok(&[0, 2], words) && ok(&[], words) && !ok(&[1, 1], words) && !ok(&[-1, 0], words));
        // Two tokens of one character, and a window that begins before the one in front of it ends.
        assert!(ok(&[-1, 0, 0, 4, -1, 4, 9], answers) && ok(&[], answers) && ok(&[-1], answers));
        assert!(!ok(&[0, 4], answers) && !ok(&[-1, 4, 0], answers) && !ok(&[-1, -2], answers));
    }
}
