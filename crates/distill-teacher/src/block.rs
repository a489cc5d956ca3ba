//! A block of rows on its way through the runner: read, tokenized, each text once.

use std::collections::HashMap;

use distill_data::cache::{Example, id_hash};
use distill_data::source::Row;
use distill_data::{TextTokenizer, Tokens};
use tracing::trace_span;

use crate::error::RunnerError;

/// Rows that are sorted by length and computed together, tokenized.
pub(crate) struct Block {
    /// The rows, in the order of the source.
    pub rows: Vec<Row>,
    /// Tokens of each distinct text, in the order in which the texts first appear.
    tokens: Vec<Tokens>,
    /// For each row, the index of its tokens in `tokens`.
    pub text_of_row: Vec<usize>,
    /// For each distinct text, the first row that has it.
    first_row: Vec<usize>,
}

impl Block {
    /// Tokenizes rows. A text that stands there more than once is tokenized, and later computed, once.
    pub fn new(rows: Vec<Row>, tokenizer: &TextTokenizer) -> Result<Self, RunnerError> {
        let (text_of_row, first_row) = distinct(rows.iter().map(texts));
        let _span = trace_span!(target: "timeline", "tokenize").entered();
        let texts: Vec<(&str, Option<&str>)> = first_row.iter().map(|row| texts(&rows[*row])).collect();
        let tokens = tokenizer.encode_batch(&texts)?;
        Ok(Block { rows, tokens, text_of_row, first_row })
    }

    /// One example a distinct text.
    pub fn examples(&self) -> Vec<Example<'_>> {
        let rows = self.first_row.iter().map(|row| &self.rows[*row]);
        rows.zip(&self.tokens).map(|(row, tokens)| example(row, tokens)).collect()
    }

    /// The tokens of each row, of repeated ones too.
    pub fn row_tokens(&self) -> impl Iterator<Item = &Tokens> {
        self.text_of_row.iter().map(|text| &self.tokens[*text])
    }

    /// How many rows have each distinct text.
    pub fn repeats(&self) -> Vec<u64> {
        let mut repeats = vec![0; self.first_row.len()];
        self.text_of_row.iter().for_each(|text| repeats[*text] += 1);
        repeats
    }
}

fn texts(row: &Row) -> (&str, Option<&str>) {
    (row.text.as_str(), row.text_pair.as_deref())
}

/// For each row the number of its text, and for each text its first row.
fn distinct<'a>(texts: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> (Vec<usize>, Vec<usize>) {
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

/// Tokens of a row as an example without label and soft targets.
fn example<'a>(row: &Row, tokens: &'a Tokens) -> Example<'a> {
    Example {
        input_ids: &tokens.input_ids,
        token_type_ids: Some(&tokens.token_type_ids),
        label: None,
        targets: &[],
        logits: &[],
        id_hash: id_hash(&row.id),
        partner_hash: None,
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
