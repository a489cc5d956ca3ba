//! Texts as tokens without a limit and without special tokens, and the special tokens that go around them.

use rayon::prelude::*;
use tokenizers::{Encoding, Token};

use super::encode::Offsets;
use super::{TextTokenizer, TokenError};
use crate::quiet::quietly;

/// The special tokens of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Before the first token of a text, such as `[CLS]`.
    pub before: Vec<u32>,
    /// After its last token, such as `[SEP]`.
    pub after: Vec<u32>,
    /// Between two texts: the tokenizer's `sep_token`, else the last token of `after`; none where there is neither.
    pub between: Option<u32>,
}

impl TextTokenizer {
    /// All tokens of each text, in order, across the threads of the current rayon pool: no special tokens, and nothing is
    /// truncated.
    ///
    /// # Errors
    /// [`TokenError::Encode`] with the text's index in `texts`; [`TokenError::Stopped`].
    pub fn encode_whole_batch(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, TokenError> {
        let encode = |(index, text): (usize, &&str)| {
            self.stop.check()?;
            // A tokenizer file from outside can ask for what the crate asserts against.
            let encoding = quietly(|| self.raw(text, Offsets::None)).unwrap_or_else(Err);
            match encoding {
                Ok(encoding) => Ok(encoding.get_ids().to_vec()),
                Err(reason) => Err(TokenError::Encode { index, reason }),
            }
        };
        texts.par_iter().enumerate().with_min_len(8).map(encode).collect()
    }

    /// The special tokens that are put around a single text.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] where the tokenizer's parts contradict each other.
    pub fn frame(&self) -> Result<Frame, TokenError> {
        let invalid = |reason: String| TokenError::Invalid { path: self.path.clone(), reason };
        // A text of one token, whichever it is.
        let token = Token::new(0, "a".to_owned(), (0, 1));
        let row = quietly(|| self.processed(Encoding::from_tokens(vec![token], 0), None, false));
        let encoding = row.unwrap_or_else(Err).map_err(invalid)?.encoding;
        let (ids, special) = (encoding.get_ids(), encoding.get_special_tokens_mask());
        let Some(at) = special.iter().position(|mask| *mask == 0) else {
            return Err(invalid("its post-processor drops the text".to_owned()));
        };
        let (before, after) = (ids[..at].to_vec(), ids[at + 1..].to_vec());
        let named = self.saved.special("sep_token").and_then(|token| self.tokenizer.token_to_id(token));
        let between = named.or(after.last().copied());
        Ok(Frame { before, after, between })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(name: &str, max_length: usize) -> TextTokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        TextTokenizer::load(&folder, max_length).unwrap()
    }

    #[test]
    fn a_whole_text_is_what_a_long_row_has_between_its_special_tokens() {
        let text = "What is the name of the first city? ".repeat(40);
        for name in ["tiny-bert", "tiny-byte-level", "tiny-unigram"] {
            let frame = load(name, 8).frame().unwrap();
            let whole = load(name, 8).encode_whole_batch(&[&text, ""]).unwrap();
            let row = load(name, 4096).encode_batch(&[(&text, None)]).unwrap().remove(0);
            let framed: Vec<u32> = frame.before.iter().chain(&whole[0]).chain(&frame.after).copied().collect();
            assert_eq!(framed, row.input_ids, "{name}");
            assert!(whole[1].is_empty() && !row.truncated, "{name}");
        }
    }

    #[test]
    fn texts_are_parted_by_the_separator() {
        let bert = load("tiny-bert", 8);
        let frame = bert.frame().unwrap();
        let id = |token: &str| bert.tokenizer.token_to_id(token);
        assert_eq!((frame.before.first().copied(), frame.after.last().copied()), (id("[CLS]"), id("[SEP]")));
        assert_eq!(frame.between, id("[SEP]"));
    }
}
