//! A block of rows on its way through the runner: read, tokenized, each text once.

use std::collections::HashMap;
use std::ops::Range;

use distill_data::cache::{Example, id_hash};
use distill_data::source::Row;
use distill_data::{DataError, TextTokenizer, TokenError};
use distill_task::Positions;
use tracing::trace_span;

use crate::error::RunnerError;
use crate::pieces::{Piece, RowText, encode};

/// Rows that are sorted by length and computed together, tokenized.
pub(crate) struct Block {
    /// The rows, in the order of the source.
    pub rows: Vec<Row>,
    /// Pieces of the distinct texts, in the order in which the texts first appear.
    pieces: Vec<Piece>,
    /// For each distinct text, its pieces.
    pieces_of_text: Vec<Range<usize>>,
    /// For each row, the index of its text among the distinct ones.
    pub text_of_row: Vec<usize>,
    /// For each distinct text, the first row that has it.
    first_row: Vec<usize>,
}

impl Block {
    /// Tokenizes rows as what is predicted at `positions` needs them. A text that occurs more than once is tokenized, and
    /// later computed, once.
    pub fn new(rows: Vec<Row>, tokenizer: &TextTokenizer, positions: Positions) -> Result<Self, RunnerError> {
        let is_unfit = |row: &&Row| positions == Positions::Word && row.tokens.is_none();
        if let Some(row) = rows.iter().find(is_unfit) {
            return Err(RunnerError::NoWords { row: row.row, id: row.id.clone() });
        }
        let (text_of_row, first_row) = distinct(rows.iter().map(|row| text_of(row, positions)));
        let _span = trace_span!(target: "timeline", "tokenize").entered();
        let texts: Vec<RowText<'_>> = first_row.iter().map(|row| text_of(&rows[*row], positions)).collect();
        let pieces = encode(tokenizer, positions, &texts).map_err(|error| match error {
            TokenError::Encode { index, reason } if index < first_row.len() => {
                unfit(&rows[first_row[index]], &reason).into()
            }
            other => RunnerError::Tokens(other),
        })?;
        let mut end = 0;
        let pieces_of_text = pieces
            .iter()
            .map(|pieces| {
                end += pieces.len();
                end - pieces.len()..end
            })
            .collect();
        let pieces = pieces.into_iter().flatten().collect();
        Ok(Block { rows, pieces, pieces_of_text, text_of_row, first_row })
    }

    /// One example for each piece of a distinct text.
    pub fn examples(&self) -> Vec<Example<'_>> {
        let texts = self.first_row.iter().zip(&self.pieces_of_text);
        texts
            .flat_map(|(row, pieces)| {
                self.pieces[pieces.clone()].iter().map(|piece| example(&self.rows[*row], piece))
            })
            .collect()
    }

    /// The pieces of a distinct text.
    pub fn pieces(&self, text: usize) -> &[Piece] {
        &self.pieces[self.pieces_of_text[text].clone()]
    }

    /// For each distinct text, how many predictions there are for it.
    pub fn predictions(&self) -> impl Iterator<Item = usize> {
        (0..self.texts()).map(|text| self.pieces(text).iter().map(Piece::predictions).sum())
    }

    /// For each piece, how many rows are done with it: those of its text, once, at its last piece.
    pub fn rows_done(&self) -> Vec<u64> {
        let mut done = vec![0; self.pieces.len()];
        for text in &self.text_of_row {
            if let Some(last) = self.pieces_of_text[*text].clone().next_back() {
                done[last] += 1;
            }
        }
        done
    }

    /// How many distinct texts there are.
    pub fn texts(&self) -> usize {
        self.first_row.len()
    }
}

/// A row that the tokenizer refuses, with its place in the file.
fn unfit(row: &Row, reason: &str) -> DataError {
    DataError::Record { place: row.place.clone(), what: format!("it cannot be tokenized: {reason}") }
}

/// What is read of a row; the text of a row of words is made of them.
fn text_of(row: &Row, positions: Positions) -> RowText<'_> {
    match positions {
        Positions::Word => RowText { text: "", text_pair: None, words: row.tokens.as_deref() },
        Positions::Row | Positions::Span | Positions::Masked => {
            RowText { text: &row.text, text_pair: row.text_pair.as_deref(), words: None }
        }
    }
}

/// For each row the number of its text, and for each text its first row.
fn distinct<T: std::hash::Hash + Eq>(texts: impl Iterator<Item = T>) -> (Vec<usize>, Vec<usize>) {
    let mut numbers = HashMap::new();
    let mut first_row = Vec::new();
    let text_of_row = texts
        .enumerate()
        .map(|(row, text)| {
            *numbers.entry(text).or_insert_with(|| {
                first_row.push(row);
                first_row.len() - 1
            })
        })
        .collect();
    (text_of_row, first_row)
}

/// A piece of a row as an example without label and soft targets.
fn example<'a>(row: &Row, piece: &'a Piece) -> Example<'a> {
    Example {
        input_ids: &piece.tokens.input_ids,
        token_type_ids: Some(&piece.tokens.token_type_ids),
        positions: &piece.positions,
        first_word: piece.first_word(),
        id_hash: id_hash(&row.id),
        row: row.row,
        ..Example::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_text_is_counted_once_but_not_with_another_second_text() {
        let rows = [("a", None), ("b", None), ("a", None), ("a", Some("")), ("b", None)];
        assert_eq!(distinct(rows.into_iter()), (vec![0, 1, 0, 2, 1], vec![0, 1, 3]));
    }
}
