//! What a model reads of a row at once: the whole text, a window of its words, each word being predicted from one window,
//! or a question with a window of the text that may have its answer.

use distill_data::logits::NO_ANSWER;
use distill_data::tokens::Overlap;
use distill_data::{AnswerWindow, TextTokenizer, TokenError, Tokens};
use distill_task::Positions;

/// Tokens that neighbouring windows of a long row have in common: the context of words at their borders, and room for an
/// answer to be whole in one of them. At most half of a window. 128 as `doc_stride` in `transformers`' question answering.
pub const OVERLAP: usize = 128;

/// What of a row is tokenized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RowText<'a> {
    /// Its text, or question.
    pub text: &'a str,
    /// Its second text, or the one that may have the answer.
    pub text_pair: Option<&'a str>,
    /// Its words, where it is a row of words.
    pub words: Option<&'a [String]>,
}

/// A text, a window of the words of a row, or a window of a text with its question.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its tokens.
    pub tokens: Tokens,
    /// Places in `tokens` that are predicted for; empty: one prediction for the text. `[N]`
    pub positions: Vec<u32>,
    /// What is at these positions: of words their numbers in the row; of answers [`NO_ANSWER`] and where tokens begin in the
    /// text, in characters. `[N]`
    pub keys: Vec<i32>,
    /// Of an answer's window, where tokens are in the text. `[L]`
    pub offsets: Vec<Option<(usize, usize)>>,
}

impl Piece {
    /// Predictions that are made from it.
    pub fn predictions(&self) -> usize {
        self.positions.len().max(1)
    }

    /// Number of the first word that is predicted.
    pub fn first_word(&self) -> u32 {
        self.keys.first().map_or(0, |word| u32::try_from(*word).unwrap_or(0))
    }

    fn of_text(tokens: Tokens) -> Self {
        Piece { tokens, positions: Vec::new(), keys: Vec::new(), offsets: Vec::new() }
    }

    /// Predicted for: the first token, which stands for "no answer", and every token of the text.
    fn of_answers(window: AnswerWindow) -> Self {
        let AnswerWindow { tokens, offsets } = window;
        // All of the text is in some window.
        let tokens = Tokens { truncated: false, ..tokens };
        let of_text =
            offsets.iter().zip(0u32..).filter_map(|(offset, place)| Some((place, offset.as_ref()?.0)));
        let of_text = of_text.filter(|(place, _)| *place != AnswerWindow::NO_ANSWER);
        let of_text = of_text.map(|(place, start)| (place, i32::try_from(start).unwrap_or(i32::MAX)));
        let (positions, keys) = std::iter::once((AnswerWindow::NO_ANSWER, NO_ANSWER)).chain(of_text).unzip();
        Piece { tokens, positions, keys, offsets }
    }
}

/// Rows as the pieces in which anything is predicted; a row of words of which none has a token has no piece.
///
/// # Errors
/// [`TokenError`] for a row that cannot be tokenized.
pub fn encode(
    tokenizer: &TextTokenizer,
    positions: Positions,
    rows: &[RowText<'_>],
) -> Result<Vec<Vec<Piece>>, TokenError> {
    match positions {
        Positions::Row | Positions::Masked => {
            let texts: Vec<(&str, Option<&str>)> = rows.iter().map(|row| (row.text, row.text_pair)).collect();
            Ok(tokenizer.encode_batch(&texts)?.into_iter().map(|tokens| vec![Piece::of_text(tokens)]).collect())
        }
        Positions::Word => {
            let words: Vec<&[String]> = rows.iter().map(|row| row.words.unwrap_or_default()).collect();
            let windows = tokenizer.encode_words_batch(&words, OVERLAP)?;
            let pieces = windows.into_iter().map(|windows| {
                let pieces = windows.into_iter().map(|window| {
                    let (keys, positions) =
                        window.predicted().map(|(word, place)| (word as i32, place)).unzip();
                    Piece { tokens: window.tokens, positions, keys, offsets: Vec::new() }
                });
                pieces.filter(|piece: &Piece| !piece.positions.is_empty()).collect()
            });
            Ok(pieces.collect())
        }
        Positions::Span => {
            let questions: Vec<(&str, &str)> =
                rows.iter().map(|row| (row.text, row.text_pair.unwrap_or_default())).collect();
            let windows = tokenizer.encode_answers_batch(&questions, Overlap::AtMost(OVERLAP))?;
            Ok(windows.into_iter().map(|row| row.into_iter().map(Piece::of_answers).collect()).collect())
        }
    }
}
