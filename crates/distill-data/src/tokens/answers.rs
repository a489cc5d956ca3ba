//! A question and a text that may have its answer: windows over the text, and where in it each token is.
//!
//! Source: `run_qa.py` and `truncation="only_second"` with `return_overflowing_tokens=True` of `transformers` 5.23, whose
//! windows these are, token by token.

use distill_task::Span;
use rayon::prelude::*;
use tokenizers::{Encoding, TruncationDirection};

use super::encode::{EncodedRow, Plain};
use super::limits::MAX_TEXT_BYTES;
use super::{TextTokenizer, TokenError, Tokens};
use crate::quiet::quietly;

/// How many tokens of the text neighbouring windows have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// So many. A question that leaves no more room than that is refused, as in `transformers`.
    Exactly(usize),
    /// So many, or half of the room where that is less: each window then has as much that is new.
    AtMost(usize),
}

/// A question with a part of its text that fits `max_length`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerWindow {
    /// The window's tokens: the question, then the part of the text. `truncated`: there is more of the text.
    pub tokens: Tokens,
    /// Where each token begins and ends in the text, in characters, `[L]`; none for the question's and special tokens.
    pub offsets: Vec<Option<(usize, usize)>>,
}

impl AnswerWindow {
    /// The first and the last token of an answer in characters of the text; none where not all of it is in this window.
    /// The first token of the window stands for that, as in `run_qa.py`: [`AnswerWindow::NO_ANSWER`].
    pub fn positions(&self, answer: Span) -> Option<(u32, u32)> {
        answer_positions(&self.offsets, answer)
    }

    /// The token that stands for "no answer".
    pub const NO_ANSWER: u32 = 0;
}

/// As [`AnswerWindow::positions`], of a window whose tokens are in these places of the text, `[L]`.
pub fn answer_positions(offsets: &[Option<(usize, usize)>], answer: Span) -> Option<(u32, u32)> {
    let (start, end) = (answer.start as usize, answer.end as usize);
    let mut inside = offsets.iter().enumerate().filter_map(|(at, offsets)| Some((at, (*offsets)?)));
    let (first, (begin, _)) = inside.clone().next()?;
    let (last, (_, close)) = inside.clone().next_back()?;
    if begin > start || close < end {
        return None;
    }
    let starting =
        inside.clone().take_while(|(_, (begin, _))| *begin <= start).last().map_or(first, |(at, _)| at);
    let ending = inside.find(|(_, (_, close))| *close >= end).map_or(last, |(at, _)| at);
    Some((starting as u32, ending as u32))
}

impl TextTokenizer {
    /// Encodes questions with their texts, across the threads of the current rayon pool, in order: the windows of each
    /// row.
    ///
    /// # Errors
    /// [`TokenError::Encode`] with the row's index in `rows`, also where a question leaves no room for its text;
    /// [`TokenError::Stopped`].
    pub fn encode_answers_batch(
        &self,
        rows: &[(&str, &str)],
        overlap: Overlap,
    ) -> Result<Vec<Vec<AnswerWindow>>, TokenError> {
        rows.par_iter()
            .enumerate()
            .with_min_len(8)
            .map(|(index, (question, text))| {
                self.stop.check()?;
                // A tokenizer file from outside can ask for what the crate asserts against.
                quietly(|| self.answer_windows(question, text, overlap))
                    .unwrap_or_else(|panic| {
                        Err(format!("the tokenizer's parts contradict each other: {panic}"))
                    })
                    .map_err(|reason| TokenError::Encode { index, reason })
            })
            .collect()
    }

    fn answer_windows(&self, question: &str, text: &str, overlap: Overlap) -> Plain<Vec<AnswerWindow>> {
        let question = self.in_characters(question)?;
        let mut text = self.in_characters(text)?;
        let taken = question.len() + self.special_tokens(true);
        let room = self.max_length.saturating_sub(taken);
        let stride = match overlap {
            Overlap::Exactly(tokens) => tokens,
            Overlap::AtMost(tokens) => tokens.min(room / 2),
        };
        if room <= stride {
            return Err(format!(
                "its question has {} tokens: with max_length {} it leaves room for {room} tokens of the text, and \
                 neighbouring windows have {stride} in common; a larger max_length is needed",
                question.len(),
                self.max_length
            ));
        }
        text.truncate(room, stride, TruncationDirection::Right);
        let more = text.take_overflowing();
        let all: Vec<Encoding> = std::iter::once(text).chain(more).collect();
        let cut = all.len() > 1;
        all.into_iter().map(|part| self.answer_window(question.clone(), part, cut)).collect()
    }

    fn answer_window(&self, question: Encoding, part: Encoding, truncated: bool) -> Plain<AnswerWindow> {
        // Some post-processors trim white space off the places of tokens, which the tokenizer has had them do already: what
        // they say the second time is not used.
        let places = part.get_offsets().to_vec();
        let row = self.processed(question, Some(part), truncated)?;
        let offsets = text_offsets(&row, &places);
        Ok(AnswerWindow { tokens: self.tokens(&row)?, offsets })
    }

    /// A text's tokens with their places in characters, without special tokens.
    fn in_characters(&self, text: &str) -> Plain<Encoding> {
        if text.len().saturating_mul(self.growth) > MAX_TEXT_BYTES {
            return Err(format!("its text of {} bytes may become {} times longer", text.len(), self.growth));
        }
        self.tokenizer.encode_char_offsets(text, false).map_err(|error| error.to_string())
    }
}

/// The places of the second text's tokens, of which these are all. The crate forgets which text a token is of where texts are encoded one by
/// one; special ones stand around them.
fn text_offsets(row: &EncodedRow, places: &[(usize, usize)]) -> Vec<Option<(usize, usize)>> {
    let mut own = 0;
    let each = row.encoding.get_special_tokens_mask().iter().map(|special| {
        own += usize::from(*special == 0);
        let place = own.checked_sub(row.lengths[0] + 1).filter(|_| *special == 0)?;
        places.get(place).copied()
    });
    each.collect()
}
