//! Rows on their way into a token cache, and what is wrong with those that cannot be in one.

use distill_data::cache::CacheWriter;
use distill_data::source::Label;
use distill_data::{DataError, Place};

use crate::error::TrainError;
use crate::soft_targets::SoftTarget;

/// A cache that is being filled.
pub(crate) struct Filling<'a> {
    /// What takes the rows.
    pub writer: &'a mut CacheWriter,
    /// Rows whose answer is whole in none of their windows.
    pub lost: usize,
}

/// A row on its way into a cache.
pub(crate) struct Prepared<'a> {
    pub row: u64,
    /// None of a row of a soft-target store.
    pub place: Option<&'a Place>,
    pub id: &'a str,
    pub text: &'a str,
    pub text_pair: Option<&'a str>,
    pub tokens: Option<&'a [String]>,
    pub label: Option<Label<i32>>,
    pub target: SoftTarget<'a>,
}

impl Prepared<'_> {
    /// The soft targets are those of other windows than the student's.
    pub fn other_windows(&self) -> TrainError {
        TrainError::Rows(format!(
            "row {} (id {:?}): the teacher read its text in other windows than the student; soft targets of answers need \
             the same tokenizer and the same max_length for both",
            self.row, self.id
        ))
    }

    /// The tokenizer refuses the row.
    pub fn unfit(&self, reason: &str) -> TrainError {
        match self.place {
            Some(place) => {
                let what = format!("it cannot be tokenized: {reason}");
                DataError::Record { place: place.clone(), what }.into()
            }
            None => TrainError::Rows(format!(
                "row {} (id {:?}) of the soft targets cannot be tokenized: {reason}",
                self.row, self.id
            )),
        }
    }

    /// A text where words are needed.
    pub fn no_words(&self) -> TrainError {
        TrainError::Rows(format!(
            "row {} (id {:?}) has a text and no list of words, and a tag is learned for each word",
            self.row, self.id
        ))
    }
}
