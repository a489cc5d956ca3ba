//! Rows behind one another, with the border of each: what an encoder computes on without padding.
//!
//! Legend: `T` tokens in the batch, `B` rows.

use distill_core::Category;
use thiserror::Error;

use crate::cache::Example;

/// A batch in packed form, on the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// Ids in the vocabulary, `[T]`.
    pub input_ids: Vec<i64>,
    /// 0 or the segment of each token, `[T]`.
    pub token_type_ids: Vec<i64>,
    /// 0 to length − 1 in each row, `[T]`; a model adds its own offset. [`PackedBatch::uncount`] changes them.
    pub position_ids: Vec<i64>,
    /// Where each row begins, and `T` at the end, `[B + 1]`.
    pub cu_seqlens: Vec<i32>,
    /// The tokens for which there is a prediction each, as indices into the `T` tokens, in the order of
    /// [`PackedBatch::rows`], `[N]`; empty where there is one for each row.
    pub positions: Vec<i64>,
    /// For each row of the batch, its place among the examples the batch was made from, `[B]`.
    pub rows: Vec<u32>,
    /// Tokens of the longest row.
    pub max_length: usize,
}

/// Examples that cannot be packed.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BatchError {
    /// A token that the model has no embedding for.
    #[error(
        "row {row} (position in the source, from 0) has the token id {id}, but the model's vocabulary has \
         {vocab_size} entries; tokenizer and model do not belong together"
    )]
    TokenId {
        /// Position in the source, from 0.
        row: u64,
        /// The id.
        id: u32,
        /// Embeddings the model has.
        vocab_size: u32,
    },
    /// Type ids of another length than the tokens.
    #[error("row {row} (position in the source, from 0) has {tokens} input_ids and {types} token_type_ids")]
    TypeIds {
        /// Position in the source, from 0.
        row: u64,
        /// Length of `input_ids`.
        tokens: usize,
        /// Length of `token_type_ids`.
        types: usize,
    },
    /// A token type that the model has no embedding for.
    #[error(
        "row {row} (position in the source, from 0) has the token type {id}, but the model has only \
         {type_vocab_size} token types; tokenizer and model do not belong together"
    )]
    TypeId {
        /// Position in the source, from 0.
        row: u64,
        /// The token type.
        id: u8,
        /// Token types that the model has embeddings for.
        type_vocab_size: u32,
    },
    /// A prediction for a token that the row does not have.
    #[error("row {row} (position in the source, from 0) has {tokens} input_ids and a position {position}")]
    Position {
        /// Position in the source, from 0.
        row: u64,
        /// Length of `input_ids`.
        tokens: usize,
        /// The position in the row.
        position: u32,
    },
    /// A row without any token, not even a special one.
    #[error(
        "row {row} (position in the source, from 0) has no tokens, and the tokenizer adds no special tokens"
    )]
    Empty {
        /// Position in the source, from 0.
        row: u64,
    },
    /// More tokens than `cu_seqlens` can count.
    #[error("a batch of {tokens} tokens is too large; the limit is 2147483647")]
    TooLarge {
        /// Tokens of all rows together.
        tokens: usize,
    },
}

impl BatchError {
    /// A token out of range, or none, is bad data; the others are defects of the caller.
    pub fn category(&self) -> Category {
        match self {
            BatchError::TokenId { .. } | BatchError::TypeId { .. } | BatchError::Empty { .. } => Category::Data,
            BatchError::TypeIds { .. } | BatchError::Position { .. } | BatchError::TooLarge { .. } => {
                Category::Internal
            }
        }
    }
}

impl PackedBatch {
    /// Packs `examples`, longest first; rows of one length keep their order.
    ///
    /// # Errors
    /// [`BatchError`] unless every row has tokens, with ids below `vocab_size` and types below `type_vocab_size`.
    pub fn new(examples: &[Example<'_>], vocab_size: u32, type_vocab_size: u32) -> Result<Self, BatchError> {
        let tokens: usize = examples.iter().map(|example| example.input_ids.len()).sum();
        if i32::try_from(tokens).is_err() {
            return Err(BatchError::TooLarge { tokens });
        }
        let mut rows: Vec<u32> = (0..examples.len() as u32).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(examples[*row as usize].input_ids.len()));
        let mut batch = PackedBatch {
            input_ids: Vec::with_capacity(tokens),
            token_type_ids: Vec::with_capacity(tokens),
            position_ids: Vec::with_capacity(tokens),
            cu_seqlens: vec![0],
            positions: Vec::new(),
            max_length: rows.first().map_or(0, |row| examples[*row as usize].input_ids.len()),
            rows: Vec::new(),
        };
        for row in &rows {
            batch.push(&examples[*row as usize], vocab_size, type_vocab_size)?;
        }
        batch.rows = rows;
        Ok(batch)
    }

    fn push(&mut self, example: &Example<'_>, vocab_size: u32, type_vocab_size: u32) -> Result<(), BatchError> {
        let (row, ids) = (example.row, example.input_ids);
        if ids.is_empty() {
            return Err(BatchError::Empty { row });
        }
        let types = example.token_type_ids.unwrap_or_default();
        if let Some(id) = types.iter().find(|id| u32::from(**id) >= type_vocab_size) {
            return Err(BatchError::TypeId { row, id: *id, type_vocab_size });
        }
        if let Some(id) = ids.iter().find(|id| **id >= vocab_size) {
            return Err(BatchError::TokenId { row: example.row, id: *id, vocab_size });
        }
        if let Some(position) = example.positions.iter().find(|position| **position as usize >= ids.len()) {
            return Err(BatchError::Position { row, tokens: ids.len(), position: *position });
        }
        let start = self.input_ids.len() as i64;
        self.positions.extend(example.positions.iter().map(|position| start + i64::from(*position)));
        self.input_ids.extend(ids.iter().map(|id| i64::from(*id)));
        self.position_ids.extend(0..ids.len() as i64);
        match example.token_type_ids {
            None => self.token_type_ids.resize(self.input_ids.len(), 0),
            Some(types) if types.len() == ids.len() => {
                self.token_type_ids.extend(types.iter().map(|id| i64::from(*id)));
            }
            Some(types) => {
                let (tokens, types) = (ids.len(), types.len());
                return Err(BatchError::TypeIds { row: example.row, tokens, types });
            }
        }
        self.cu_seqlens.push(self.input_ids.len() as i32);
        Ok(())
    }

    /// Fills the batch up to a multiple of `tokens` with further rows of token 0, behind all others and none longer than
    /// the longest of them, so that a model has positions for them. They are none of [`PackedBatch::rows`], and their
    /// results are nobody's: batches have fewer different sizes with them.
    pub fn fill_up(&mut self, tokens: usize) {
        let filled = self.input_ids.len().next_multiple_of(tokens.max(1));
        while self.input_ids.len() < filled {
            let length = (filled - self.input_ids.len()).min(self.max_length.max(1));
            self.position_ids.extend(0..length as i64);
            self.input_ids.resize(self.input_ids.len() + length, 0);
            self.cu_seqlens.push(self.input_ids.len() as i32);
        }
        self.token_type_ids.resize(filled, 0);
    }

    /// Counts positions without a token, which itself gets −1: RoBERTa and its kin give padding tokens that stand in
    /// a text no position of their own.
    pub fn uncount(&mut self, token: u32) {
        let token = i64::from(token);
        if !self.input_ids.contains(&token) {
            return;
        }
        for border in self.cu_seqlens.windows(2) {
            let mut next = 0;
            for place in border[0] as usize..border[1] as usize {
                let counted = self.input_ids[place] != token;
                self.position_ids[place] = if counted { next } else { -1 };
                next += i64::from(counted);
            }
        }
    }

    /// Rows in the batch, `B`.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Tokens in the batch, `T`.
    pub fn tokens(&self) -> usize {
        self.input_ids.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example<'a>(row: u64, input_ids: &'a [u32], token_type_ids: Option<&'a [u8]>) -> Example<'a> {
        Example { input_ids, token_type_ids, row, ..Example::default() }
    }

    /// A head reads the states at these places of the packed tokens, wherever the rows went.
    #[test]
    fn positions_count_in_the_whole_batch_in_the_order_of_its_rows() {
        let rows = [
            Example { positions: &[1], ..example(0, &[1, 2], None) },
            Example { positions: &[0, 2], ..example(1, &[3, 4, 5], None) },
            example(2, &[6, 7], None),
        ];
        let mut batch = PackedBatch::new(&rows, 8, 2).unwrap();
        assert_eq!((batch.rows.as_slice(), batch.positions.as_slice()), (&[1, 0, 2][..], &[0, 2, 4][..]));
        batch.fill_up(10);
        assert_eq!(batch.positions, [0, 2, 4]);
        let error = PackedBatch::new(&[Example { positions: &[2], ..rows[0] }], 8, 2).unwrap_err();
        assert_eq!(error, BatchError::Position { row: 0, tokens: 2, position: 2 });
    }

    /// The rows that fill a batch up belong to nobody, their tokens are counted from 0 as any row's, and none is longer
    /// than a row of the batch: a model may have no more positions.
    #[test]
    fn a_batch_is_filled_up_with_rows_behind_the_others() {
        let cache = [example(0, &[5, 6, 7], None), example(1, &[8, 9], None)];
        let mut batch = PackedBatch::new(&cache, 10, 1).unwrap();
        batch.fill_up(5);
        assert_eq!(batch.cu_seqlens, [0, 3, 5], "it was full");
        batch.fill_up(4);
        assert_eq!(batch.cu_seqlens, [0, 3, 5, 8]);
        assert_eq!(batch.input_ids, [5, 6, 7, 8, 9, 0, 0, 0]);
        assert_eq!(batch.position_ids, [0, 1, 2, 0, 1, 0, 1, 2]);
        assert_eq!((batch.token_type_ids.len(), batch.rows.as_slice()), (8, &[0, 1][..]));
        batch.fill_up(16);
        assert_eq!(batch.cu_seqlens, [0, 3, 5, 8, 11, 14, 16]);
        assert_eq!(batch.position_ids[8..], [0, 1, 2, 0, 1, 2, 0, 1]);
        assert_eq!((batch.input_ids.len(), batch.token_type_ids.len(), batch.max_length), (16, 16, 3));
        let mut empty = PackedBatch::new(&[], 8, 2).unwrap();
        empty.fill_up(4);
        assert!(empty.is_empty());
    }

    #[test]
    fn rows_stand_behind_one_another_longest_first_with_their_borders() {
        let rows =
            [example(0, &[1, 2], None), example(1, &[3, 4, 5], Some(&[0, 1, 1])), example(2, &[6, 7], None)];
        let batch = PackedBatch::new(&rows, 8, 2).unwrap();
        assert_eq!(batch.input_ids, [3, 4, 5, 1, 2, 6, 7]);
        assert_eq!(batch.token_type_ids, [0, 1, 1, 0, 0, 0, 0]);
        assert_eq!(batch.position_ids, [0, 1, 2, 0, 1, 0, 1]);
        assert_eq!(batch.cu_seqlens, [0, 3, 5, 7]);
        assert_eq!(batch.rows, [1, 0, 2]);
        assert_eq!((batch.max_length, batch.len(), batch.tokens()), (3, 3, 7));
        let empty = PackedBatch::new(&[], 8, 2).unwrap();
        assert!(empty.is_empty());
        assert_eq!(empty.cu_seqlens, [0]);
    }

    #[test]
    fn a_token_that_is_not_counted_takes_no_position() {
        let rows = [example(0, &[5, 1, 6], None), example(1, &[1, 1, 7, 5], None), example(2, &[5, 6], None)];
        let mut batch = PackedBatch::new(&rows, 8, 2).unwrap();
        batch.uncount(3);
        assert_eq!(batch.position_ids, [0, 1, 2, 3, 0, 1, 2, 0, 1]);
        batch.uncount(1);
        assert_eq!(batch.position_ids, [-1, -1, 0, 1, 0, -1, 1, 0, 1]);
    }

    /// An id beyond the embeddings would end in libtorch, without a row to look for.
    #[test]
    fn an_id_beyond_the_vocabulary_is_named_with_its_row() {
        let error = PackedBatch::new(&[example(17, &[1, 8], None)], 8, 2).unwrap_err();
        assert_eq!(error, BatchError::TokenId { row: 17, id: 8, vocab_size: 8 });
        assert!(error.to_string().contains("row 17") && error.to_string().contains("8 entries"), "{error}");
        assert_eq!(error.category(), Category::Data);
        let error = PackedBatch::new(&[example(3, &[1, 2], Some(&[0]))], 8, 2).unwrap_err();
        assert_eq!(error, BatchError::TypeIds { row: 3, tokens: 2, types: 1 });
        let error = PackedBatch::new(&[example(4, &[1, 2], Some(&[0, 2]))], 8, 2).unwrap_err();
        assert_eq!(error, BatchError::TypeId { row: 4, id: 2, type_vocab_size: 2 });
        assert_eq!(PackedBatch::new(&[example(5, &[], None)], 8, 2), Err(BatchError::Empty { row: 5 }));
    }
}
