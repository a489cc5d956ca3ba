//! Soft targets of rows: the logits of a row, or of some of its words, found by id and text.

use std::borrow::Cow;
use std::collections::HashMap;

use distill_core::StopSignal;
use distill_data::logits::{LogitsRow, Store};
use distill_data::source::Row;

use crate::data::in_chunks;
use crate::error::TrainError;

/// What a teacher says of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SoftTarget<'a> {
    /// Numbers of the words that have logits, rising; empty: the logits are those of the row. `[N]`
    pub positions: Cow<'a, [i32]>,
    /// `[N, C]` row-major, `N` being 1 without positions; empty without a teacher.
    pub logits: Cow<'a, [f32]>,
}

impl SoftTarget<'_> {
    /// Logits of a word, `[C]`.
    pub fn of_word(&self, word: i32) -> Option<&[f32]> {
        let at = self.positions.binary_search(&word).ok()?;
        let outputs = self.logits.len() / self.positions.len();
        self.logits.get(at * outputs..(at + 1) * outputs)
    }
}

impl<'a> From<&'a LogitsRow> for SoftTarget<'a> {
    fn from(row: &'a LogitsRow) -> Self {
        SoftTarget { positions: Cow::Borrowed(&row.positions), logits: Cow::Borrowed(&row.logits) }
    }
}

/// Where the numbers of a row are.
#[derive(Clone, Copy, Debug)]
struct Place {
    positions: usize,
    words: u32,
    logits: usize,
    values: u32,
}

/// Soft targets by id and text hash. Memory: the logits, a number for each word, and 48 bytes a row.
#[derive(Debug, Default)]
pub(crate) struct TargetIndex {
    rows: HashMap<[u8; 16], Place>,
    positions: Vec<i32>,
    logits: Vec<f32>,
}

impl TargetIndex {
    /// Reads all of a store.
    pub fn read(store: &Store, stop: &StopSignal) -> Result<Self, TrainError> {
        let mut index = TargetIndex::default();
        in_chunks(store.rows(), |rows: &[LogitsRow]| {
            stop.check()?;
            rows.iter().for_each(|row| index.push(row));
            Ok(())
        })?;
        Ok(index)
    }

    fn push(&mut self, row: &LogitsRow) {
        let place = Place {
            positions: self.positions.len(),
            words: row.positions.len() as u32,
            logits: self.logits.len(),
            values: row.logits.len() as u32,
        };
        self.rows.insert(join_key(&row.id, &row.text_hash), place);
        self.positions.extend_from_slice(&row.positions);
        self.logits.extend_from_slice(&row.logits);
    }

    /// The soft target of a row.
    ///
    /// # Errors
    /// [`TrainError::Rows`] where there is none with its id and text.
    pub fn of(&self, row: &Row) -> Result<SoftTarget<'_>, TrainError> {
        let key = join_key(&row.id, &row.text_hash());
        self.find(&key).ok_or_else(|| {
            TrainError::Rows(format!(
                "row {} (id {:?}): the soft-target store has no row with this id and text",
                row.row, row.id
            ))
        })
    }

    /// The soft target of a [`join_key`].
    pub fn find(&self, key: &[u8; 16]) -> Option<SoftTarget<'_>> {
        let Place { positions, words, logits, values } = *self.rows.get(key)?;
        Some(SoftTarget {
            positions: Cow::Borrowed(&self.positions[positions..positions + words as usize]),
            logits: Cow::Borrowed(&self.logits[logits..logits + values as usize]),
        })
    }
}

/// What rows are joined by.
pub(crate) fn join_key(id: &str, text_hash: &[u8; 16]) -> [u8; 16] {
    let mut hasher_input = Vec::with_capacity(id.len() + text_hash.len());
    hasher_input.extend_from_slice(text_hash);
    hasher_input.extend_from_slice(id.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&distill_core::hash::digest(&hasher_input)[..16]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_its_own_logits_and_a_word_without_any_has_none() {
        let row = |id: &str, positions: &[i32], logits: &[f32]| LogitsRow {
            id: id.to_owned(),
            positions: positions.to_vec(),
            logits: logits.to_vec(),
            ..LogitsRow::default()
        };
        let mut index = TargetIndex::default();
        index.push(&row("a", &[0, 2], &[1.0, 2.0, 3.0, 4.0]));
        index.push(&row("b", &[], &[5.0, 6.0]));
        let find = |id: &str| index.find(&join_key(id, &[0; 16])).unwrap();
        assert_eq!(find("a").of_word(2), Some(&[3.0, 4.0][..]));
        assert_eq!(find("a").of_word(1), None);
        assert_eq!(find("b").logits[..], [5.0, 6.0]);
        assert!(index.find(&join_key("c", &[0; 16])).is_none());
    }
}
