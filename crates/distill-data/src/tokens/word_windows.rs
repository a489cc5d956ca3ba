//! Rows of words: the ids of each word on its own, and the windows of a row that is longer than `max_length`.
//!
//! Source: `is_split_into_words=True` of `transformers` 5.23, whose tokenizers normalize and split every word by itself.
//! A row that fits has the ids that `transformers` gives. Of a longer one `transformers` cuts off the end; here it becomes
//! windows that overlap, whose borders lie between words.

use std::ops::Range;

use rayon::prelude::*;
use tokenizers::{Encoding, Token};

use super::encode::Plain;
use super::limits::MAX_TEXT_BYTES;
use super::{TextTokenizer, TokenError, Tokens};
use crate::quiet::quietly;

/// A part of a row of words that fits `max_length`, and the words of the row that it predicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordWindow {
    /// The window's tokens, special ones included. `truncated`: a word had more sub-words than there is room for.
    pub tokens: Tokens,
    /// The words of the row that are predicted from this window, and from no other one. Its tokens may have more words
    /// on both sides, as context.
    pub words: Range<usize>,
    /// For each of `words` the place in `tokens.input_ids` of its first sub-word; none for a word of which the tokenizer
    /// makes no token, such as a control character. Nothing can be predicted for such a word.
    pub positions: Vec<Option<u32>>,
}

impl WordWindow {
    /// The words that have a sub-word, and its place: (number in the row, place in `input_ids`).
    pub fn predicted(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.words.clone().zip(&self.positions).filter_map(|(word, place)| Some((word, (*place)?)))
    }
}

/// What of a row goes into one window: words from `start` to before `end`, of which `words` are predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    words: Range<usize>,
}

impl TextTokenizer {
    /// Encodes rows of words, across the threads of the current rayon pool, in order: the windows of each row.
    ///
    /// Every word is normalized and split by itself, as with `is_split_into_words=True` in `transformers`. A row that is
    /// longer than `max_length` becomes several windows. Neighbouring ones have up to `overlap` tokens in common, at most
    /// half of the room for words. A word is predicted from the one window in which it has the most context on its
    /// poorer side. A row without words is one window without words.
    ///
    /// Where words need a space in front of them, call [`TextTokenizer::for_words`] first.
    ///
    /// # Errors
    /// [`TokenError::MaxLength`] where there is no room for a word; [`TokenError::Encode`] with the row's index in
    /// `rows`; [`TokenError::Stopped`].
    pub fn encode_words_batch(
        &self,
        rows: &[&[String]],
        overlap: usize,
    ) -> Result<Vec<Vec<WordWindow>>, TokenError> {
        let special = self.special_tokens(false);
        let room = self.max_length.saturating_sub(special);
        if room == 0 {
            return Err(TokenError::MaxLength { max_length: self.max_length, special, pair: false });
        }
        rows.par_iter()
            .enumerate()
            .with_min_len(8)
            .map(|(index, words)| {
                self.stop.check()?;
                // A tokenizer file from outside can ask for what the crate asserts against.
                quietly(|| self.windows(words, room, overlap.min(room / 2)))
                    .unwrap_or_else(|panic| {
                        Err(format!("the tokenizer's parts contradict each other: {panic}"))
                    })
                    .map_err(|reason| TokenError::Encode { index, reason })
            })
            .collect()
    }

    fn windows(&self, words: &[String], room: usize, overlap: usize) -> Plain<Vec<WordWindow>> {
        let ids = words.iter().map(|word| self.word_ids(word)).collect::<Plain<Vec<_>>>()?;
        let lengths: Vec<usize> = ids.iter().map(|ids| ids.len().min(room)).collect();
        let window = |span: Span| self.window(&ids, span, room);
        spans(&lengths, room, overlap).into_iter().map(window).collect()
    }

    /// The ids of one word, without special tokens.
    fn word_ids(&self, word: &str) -> Plain<Vec<u32>> {
        if word.len().saturating_mul(self.growth) > MAX_TEXT_BYTES {
            return Err(format!(
                "its word of {} bytes may become {} times longer, which is too much for one word",
                word.len(),
                self.growth
            ));
        }
        let encoding = self.tokenizer.encode_fast(word, false).map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec())
    }

    fn window(&self, ids: &[Vec<u32>], span: Span, room: usize) -> Plain<WordWindow> {
        let mut tokens = Vec::new();
        let mut starts = Vec::with_capacity(span.words.len());
        let mut truncated = false;
        for (word, ids) in (span.start..).zip(&ids[span.start..span.end]) {
            let kept = ids.len().min(room);
            truncated |= kept < ids.len();
            if span.words.contains(&word) {
                starts.push((kept > 0).then_some(tokens.len()));
            }
            tokens.extend(ids[..kept].iter().map(|id| Token::new(*id, String::new(), (0, 0))));
        }
        let encoding = Encoding::from_tokens(tokens, 0);
        let row = self.processed(encoding, None, truncated)?;
        let before = leading(&row.encoding);
        let places = starts.into_iter().map(|start| start.map(|start| (before + start) as u32)).collect();
        Ok(WordWindow { tokens: self.tokens(&row)?, words: span.words, positions: places })
    }
}

/// Special tokens in front of the first other one.
fn leading(encoding: &Encoding) -> usize {
    encoding.get_special_tokens_mask().iter().take_while(|special| **special == 1).count()
}

/// The windows of a row whose words have these numbers of tokens, each at most `room`.
fn spans(lengths: &[usize], room: usize, overlap: usize) -> Vec<Span> {
    // `ends[n]`: tokens of the first n words.
    let mut ends = vec![0usize];
    ends.extend(lengths.iter().scan(0usize, |sum, length| {
        *sum += length;
        Some(*sum)
    }));
    let count = lengths.len();
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    loop {
        let end = ends.partition_point(|end| *end <= ends[start] + room) - 1;
        if end == count {
            // The last window is filled up from the left: it costs the same and gives more context.
            let earliest = ends.partition_point(|begin| *begin + room < ends[count]).min(start);
            pieces.push((earliest, end));
            break;
        }
        pieces.push((start, end));
        // Back by the overlap, but so that the next word fits.
        let least = ends[end].saturating_sub(overlap).max((ends[end + 1]).saturating_sub(room));
        start = ends.partition_point(|begin| *begin < least).clamp(start + 1, end);
    }
    predicted_once(&pieces, &ends)
}

/// Gives every word to the window in which it has the most context on its poorer side; a row's own ends count as
/// enough. Among equals the first window has it.
fn predicted_once(pieces: &[(usize, usize)], ends: &[usize]) -> Vec<Span> {
    let count = ends.len() - 1;
    let context = |(start, end): (usize, usize), word: usize| {
        let left = if start == 0 { usize::MAX } else { ends[word] - ends[start] };
        let right = if end == count { usize::MAX } else { ends[end] - ends[word + 1] };
        left.min(right)
    };
    let mut spans: Vec<Span> =
        pieces.iter().map(|(start, end)| Span { start: *start, end: *end, words: *start..*start }).collect();
    let (mut window, mut next) = (0, 0);
    for word in 0..count {
        // Both context on the left and on the right favour later windows as words go on: the window never moves back.
        while window + 1 < pieces.len()
            && pieces[window + 1].0 <= word
            && (pieces[window].1 <= word || context(pieces[window + 1], word) > context(pieces[window], word))
        {
            spans[window].words = next..word;
            next = word;
            window += 1;
        }
    }
    spans[window].words = next..count;
    spans.retain(|span| !span.words.is_empty() || count == 0);
    spans
}
