//! One row's ids. A long text is tokenized only as far as `max_length` can reach, and the ids are still those
//! of the whole text.
//!
//! Why that is exact: in the tokenizers of [`Splitting`], no word of the pre-tokenizer crosses the places
//! where [`Splitting::cut`] cuts, and their normalizers look at no character beyond a base and its marks. The
//! tokens of the cut text are then the first tokens of the whole text, except near the cut, where an added
//! token such as `[MASK]` may have been split or may look at its neighbour; the last `margin` tokens are
//! therefore never used. Where the cut text gives too few tokens (a word of more than 100 characters is one
//! `[UNK]`, white space is nothing) more of the text is taken. Other tokenizers get the whole text.

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{Encoding, Tokenizer, TruncationDirection};

use super::limits::MAX_TEXT_BYTES;
use super::{TextTokenizer, TokenError, Tokens};
use crate::quiet::quietly;

/// Bytes of text first tried for each token that is needed; English has between four and five.
const BYTES_PER_TOKEN: usize = 8;

/// Where a text may be cut without changing the tokens before the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Splitting {
    /// Nowhere that is known.
    Unknown,
    /// Before white space that follows something else.
    Spaces,
    /// There, and before ASCII punctuation (`BertPreTokenizer`).
    Punctuation,
    /// There, and before the ideographs that `BertNormalizer` surrounds by spaces.
    Ideographs,
}

/// The tokens of the first `bytes` bytes of a text, without special tokens.
struct Part {
    encoding: Encoding,
    bytes: usize,
    /// Whether that is all of the text.
    whole: bool,
}

pub(super) type Plain<T> = Result<T, String>;

/// Whether an encoding says where in the text its tokens stand, in bytes; without is faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offsets {
    Bytes,
    None,
}

/// A row's tokens, special ones included, and whether `max_length` cost any.
pub(super) struct EncodedRow {
    pub encoding: Encoding,
    /// Tokens of either text.
    pub lengths: [usize; 2],
    truncated: bool,
}

impl TextTokenizer {
    pub(super) fn encode(&self, index: usize, text: &str, pair: Option<&str>) -> Result<Tokens, TokenError> {
        self.encode_as(index, text, pair, Offsets::None, |row| self.tokens(&row))
    }

    /// A row encoded with `offsets`, and what `read` makes of it.
    pub(super) fn encode_as<T>(
        &self,
        index: usize,
        text: &str,
        pair: Option<&str>,
        offsets: Offsets,
        read: impl FnOnce(EncodedRow) -> Plain<T>,
    ) -> Result<T, TokenError> {
        let special = self.special_tokens(pair.is_some());
        let Some(room) = self.max_length.checked_sub(special) else {
            return Err(TokenError::MaxLength { max_length: self.max_length, special, pair: pair.is_some() });
        };
        // A tokenizer file from outside can ask for what the crate asserts against.
        quietly(|| self.encode_row(text, pair, room, offsets).and_then(read))
            .unwrap_or_else(|panic| Err(format!("the tokenizer's parts contradict each other: {panic}")))
            .map_err(|reason| TokenError::Encode { index, reason })
    }

    fn encode_row(&self, text: &str, pair: Option<&str>, room: usize, offsets: Offsets) -> Plain<EncodedRow> {
        let mut first = self.part(text, room, offsets)?;
        let Some(pair) = pair else {
            let truncated = self.truncate(&mut first, room);
            return self.processed(first.encoding, None, truncated);
        };
        let mut second = self.part(pair, room, offsets)?;
        if room % 2 == 1 && first.encoding.len() > room && second.encoding.len() > room {
            // The longer text gets the odd token: only here does more than the start of a text matter.
            self.find_the_longer((&mut first, text), (&mut second, pair), offsets)?;
        }
        let (kept, kept_pair) = longest_first(first.encoding.len(), second.encoding.len(), room);
        let truncated = self.truncate(&mut first, kept) | self.truncate(&mut second, kept_pair);
        if self.tokenizer.get_post_processor().is_none() {
            second.encoding.set_type_ids(vec![1; kept_pair.min(second.encoding.len())]);
        }
        self.processed(first.encoding, Some(second.encoding), truncated)
    }

    /// Puts special tokens around the texts.
    pub(super) fn processed(
        &self,
        first: Encoding,
        second: Option<Encoding>,
        truncated: bool,
    ) -> Plain<EncodedRow> {
        let lengths = [first.len(), second.as_ref().map_or(0, Encoding::len)];
        let encoding = self.tokenizer.post_process(first, second, true).map_err(|error| error.to_string())?;
        Ok(EncodedRow { encoding, lengths, truncated })
    }

    /// The ids of an encoded row.
    pub(super) fn tokens(&self, row: &EncodedRow) -> Plain<Tokens> {
        let input_ids = row.encoding.get_ids().to_vec();
        let token_type_ids = match self.untyped {
            true => Ok(vec![0; input_ids.len()]),
            false => row.encoding.get_type_ids().iter().map(|id| u8::try_from(*id)).collect(),
        };
        let token_type_ids = token_type_ids.map_err(|_| "a token type id exceeds 255")?;
        Ok(Tokens { input_ids, token_type_ids, truncated: row.truncated })
    }

    /// The tokens of `text`, of which at most `needed` from its start will be used.
    fn part(&self, text: &str, needed: usize, offsets: Offsets) -> Plain<Part> {
        let enough = needed.saturating_add(self.margin);
        let mut part = self.start(text, enough.saturating_mul(BYTES_PER_TOKEN), offsets)?;
        while !part.whole && part.encoding.len() < enough {
            part = self.start(text, part.bytes.saturating_mul(4), offsets)?;
        }
        Ok(part)
    }

    /// The tokens of the start of `text`, of at least `bytes` bytes.
    fn start(&self, text: &str, bytes: usize, offsets: Offsets) -> Plain<Part> {
        let right = self.direction == TruncationDirection::Right;
        match self.splitting.cut(text, bytes).filter(|_| right) {
            Some(cut) => Ok(Part { encoding: self.raw(&text[..cut], offsets)?, bytes: cut, whole: false }),
            None => Ok(Part { encoding: self.raw(text, offsets)?, bytes: text.len(), whole: true }),
        }
    }

    /// Takes in more of the texts until it is certain whether the first has more tokens than the second.
    fn find_the_longer(
        &self,
        first: (&mut Part, &str),
        second: (&mut Part, &str),
        offsets: Offsets,
    ) -> Plain<()> {
        let ((first, text), (second, pair)) = (first, second);
        let least = |part: &Part| part.encoding.len() - if part.whole { 0 } else { self.margin };
        loop {
            let more = first.whole && least(second) >= first.encoding.len();
            let fewer = second.whole && least(first) > second.encoding.len();
            if more || fewer || (first.whole && second.whole) {
                return Ok(());
            }
            if second.whole || (!first.whole && first.bytes <= second.bytes) {
                *first = self.start(text, first.bytes.saturating_mul(4), offsets)?;
            } else {
                *second = self.start(pair, second.bytes.saturating_mul(4), offsets)?;
            }
        }
    }

    pub(super) fn raw(&self, text: &str, offsets: Offsets) -> Plain<Encoding> {
        if text.len().saturating_mul(self.growth) > MAX_TEXT_BYTES {
            return Err(format!(
                "its text of {} bytes cannot be split, and may become {} times longer",
                text.len(),
                self.growth
            ));
        }
        let encoding = match offsets {
            Offsets::Bytes => self.tokenizer.encode(text, false),
            Offsets::None => self.tokenizer.encode_fast(text, false),
        };
        encoding.map_err(|error| error.to_string())
    }

    /// Keeps `kept` tokens and says whether there were more.
    fn truncate(&self, part: &mut Part, kept: usize) -> bool {
        let truncated = !part.whole || part.encoding.len() > kept;
        part.encoding.truncate(kept, 0, self.direction);
        // The parts cut off would be post-processed too, in all combinations.
        part.encoding.take_overflowing();
        truncated
    }
}

/// How many tokens of two texts stay within `room`: the longer loses first, then both alike.
///
/// Source: `truncate_encodings` of the `tokenizers` crate, which `transformers` calls.
fn longest_first(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let short = first.min(second);
    let mut kept = (short, short.max(room.saturating_sub(short)));
    if kept.0 + kept.1 > room {
        kept = (room / 2, room / 2 + room % 2);
    }
    if first > second { (kept.1, kept.0) } else { kept }
}

impl Splitting {
    pub(super) fn of(tokenizer: &Tokenizer) -> Self {
        let Some(ideographs) = normalizer_is_local(tokenizer.get_normalizer()) else {
            return Splitting::Unknown;
        };
        match tokenizer.get_pre_tokenizer() {
            Some(PreTokenizerWrapper::BertPreTokenizer(_)) if ideographs => Splitting::Ideographs,
            Some(PreTokenizerWrapper::BertPreTokenizer(_)) => Splitting::Punctuation,
            Some(PreTokenizerWrapper::Whitespace(_) | PreTokenizerWrapper::WhitespaceSplit(_)) => {
                Splitting::Spaces
            }
            Some(PreTokenizerWrapper::ByteLevel(level)) if level.use_regex => Splitting::Spaces,
            _ => Splitting::Unknown,
        }
    }

    /// The first place at or after byte `from` where `text` may be cut, short of its end.
    pub(super) fn cut(self, text: &str, from: usize) -> Option<usize> {
        if self == Splitting::Unknown || from >= text.len() {
            return None;
        }
        let start = (from..text.len()).find(|&index| text.is_char_boundary(index))?;
        let mut after_space = text[..start].chars().next_back().is_none_or(char::is_whitespace);
        for (offset, character) in text[start..].char_indices() {
            let here = match self {
                _ if matches!(character, ' ' | '\t' | '\n' | '\r') => !after_space,
                Splitting::Unknown | Splitting::Spaces => false,
                Splitting::Punctuation => character.is_ascii_punctuation(),
                // A part of the ranges of `BertNormalizer`, those every text has.
                Splitting::Ideographs => {
                    character.is_ascii_punctuation() || matches!(character, '\u{4E00}'..='\u{9FFF}')
                }
            };
            if here && start + offset > 0 {
                return Some(start + offset);
            }
            after_space = character.is_whitespace();
        }
        None
    }
}

/// `None` where a normalizer may look across white space; else whether it surrounds ideographs by spaces.
fn normalizer_is_local(normalizer: Option<&NormalizerWrapper>) -> Option<bool> {
    match normalizer {
        Some(NormalizerWrapper::BertNormalizer(bert)) => Some(bert.handle_chinese_chars),
        None
        | Some(
            NormalizerWrapper::Lowercase(_)
            | NormalizerWrapper::StripAccents(_)
            | NormalizerWrapper::NFC(_)
            | NormalizerWrapper::NFD(_)
            | NormalizerWrapper::NFKC(_)
            | NormalizerWrapper::NFKD(_),
        ) => Some(false),
        Some(_) => None,
    }
}

/// More tokens than the longest added token could turn into if a cut went through it.
pub(super) fn margin(tokenizer: &Tokenizer) -> usize {
    let longest = tokenizer.get_added_tokens_decoder().values().map(|token| token.content.len()).max();
    longest.unwrap_or(0) + 8
}
