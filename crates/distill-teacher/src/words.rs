//! What a model reads of a row at once: the whole text, or a window of its words, each word being predicted from one
//! window.

use distill_data::{TextTokenizer, TokenError, Tokens};

/// Tokens that neighbouring windows of a long row of words have in common: the context of words at their borders.
pub const OVERLAP: usize = 128;

/// A text, or a window of the words of a row.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its tokens.
    pub tokens: Tokens,
    /// Places in `tokens` that are predicted for; empty: one prediction for the text.
    pub positions: Vec<u32>,
    /// The words at these positions, by their numbers in the row.
    pub words: Vec<i32>,
}

impl Piece {
    /// Predictions that are made from it.
    pub fn predictions(&self) -> usize {
        self.positions.len().max(1)
    }

    /// Number of the first word that is predicted.
    pub fn first_word(&self) -> u32 {
        self.words.first().map_or(0, |word| word.cast_unsigned())
    }
}

/// Texts as one piece each.
///
/// # Errors
/// [`TokenError`] for a text that cannot be tokenized.
pub fn encode_texts(
    tokenizer: &TextTokenizer,
    texts: &[(&str, Option<&str>)],
) -> Result<Vec<Vec<Piece>>, TokenError> {
    let whole = |tokens| vec![Piece { tokens, positions: Vec::new(), words: Vec::new() }];
    Ok(tokenizer.encode_batch(texts)?.into_iter().map(whole).collect())
}

/// Rows of words as the windows in which any of them is predicted; a row of which no word has a token has none.
///
/// # Errors
/// [`TokenError`] for a row that cannot be tokenized.
pub fn encode_words(tokenizer: &TextTokenizer, rows: &[&[String]]) -> Result<Vec<Vec<Piece>>, TokenError> {
    let windows = tokenizer.encode_words_batch(rows, OVERLAP)?;
    let pieces = windows.into_iter().map(|windows| {
        let pieces = windows.into_iter().map(|window| {
            let (words, positions) = window.predicted().map(|(word, place)| (word as i32, place)).unzip();
            Piece { tokens: window.tokens, positions, words }
        });
        pieces.filter(|piece: &Piece| !piece.positions.is_empty()).collect()
    });
    Ok(pieces.collect())
}
