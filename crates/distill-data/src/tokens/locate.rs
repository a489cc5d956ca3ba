//! Which of a text's words are a token each.

use super::encode::{EncodedRow, Offsets};
use super::{TextTokenizer, TokenError, Tokens};
use crate::augment::bare;

/// An encoded row, and where its words stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The row's tokens.
    pub tokens: Tokens,
    /// For each word of both texts, as white space parts them: the place in `tokens` of the one token that is all
    /// of it but the punctuation around it.
    pub single: [Vec<Option<u32>>; 2],
}

/// Tokens that say all of a word: the first, and how many there are.
type Seen = (u32, u32);

impl TextTokenizer {
    /// Encodes a row as [`TextTokenizer::encode_batch`] does, and looks for its words. Those behind `max_length` are
    /// no token.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode_batch`], of which this is the row `index`.
    pub fn locate(&self, index: usize, text: &str, pair: Option<&str>) -> Result<Located, TokenError> {
        self.stop.check()?;
        self.encode_as(index, text, pair, Offsets::Bytes, |row| {
            let single = single_tokens(&row, [text, pair.unwrap_or_default()]);
            Ok(Located { tokens: self.tokens(&row)?, single })
        })
    }
}

/// The single tokens of both texts' words.
fn single_tokens(row: &EncodedRow, texts: [&str; 2]) -> [Vec<Option<u32>>; 2] {
    let words = texts.map(|text| text.split_whitespace().map(|word| core(text, word)).collect::<Vec<_>>());
    let mut seen: [Vec<Seen>; 2] = [0, 1].map(|which| vec![(0, 0); words[which].len()]);
    // The crate forgets which text a token is of where texts are encoded one by one; special ones stand around them.
    let own = row.encoding.get_special_tokens_mask().iter().zip(row.encoding.get_offsets());
    let own = (0u32..).zip(own).filter(|(_, (special, _))| **special == 0);
    for (number, (place, (_, (start, end)))) in own.enumerate() {
        let which = usize::from(number >= row.lengths[0]);
        let (text, words) = (texts[which], &words[which]);
        let Some(piece) = text.get(*start..*end) else { continue };
        // Some tokens take the space in front of their word with them.
        let begin = start + piece.len() - piece.trim_start().len();
        if let Ok(word) = words.binary_search_by_key(&begin, |(start, _)| *start)
            && words[word].1 == piece.trim()
        {
            // Two tokens may be made of the same characters; then neither is all of the word.
            let (first, times) = seen[which][word];
            seen[which][word] = (if times == 0 { place } else { first }, times + 1);
        }
    }
    seen.map(|seen| seen.into_iter().map(|(place, times)| (times == 1).then_some(place)).collect())
}

/// A word of `text` without the punctuation around it, and where it begins.
fn core<'a>(text: &'a str, word: &'a str) -> (usize, &'a str) {
    let (before, core, _) = bare(word);
    (word.as_ptr() as usize - text.as_ptr() as usize + before.len(), core)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn load(name: &str, max_length: usize) -> TextTokenizer {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        TextTokenizer::load(&folder, max_length).unwrap()
    }

    #[test]
    fn words_of_one_token_are_found_without_what_stands_around_them() {
        let tokenizer = load("tiny-bert", 24);
        let located =
            tokenizer.locate(0, " (What)  is capital-of Denver, the café?", Some("how ... many")).unwrap();
        assert_eq!(located.single[0], [Some(2), Some(4), None, None, Some(11), Some(12)]);
        assert_eq!(located.single[1], [Some(15), None, Some(19)]);
    }

    #[test]
    fn the_tokens_are_those_of_a_batch_and_a_word_behind_the_end_is_none() {
        let long = "what is the capital of france ".repeat(200);
        for name in ["tiny-bert", "tiny-byte-level", "tiny-unigram", "tiny-untyped"] {
            for (text, pair) in
                [("what is the", None), (&long, None), (&long, Some("how far")), ("", Some("é 文"))]
            {
                let tokenizer = load(name, 12);
                let located = tokenizer.locate(0, text, pair).unwrap();
                assert_eq!(located.tokens, tokenizer.encode_batch(&[(text, pair)]).unwrap()[0], "{name}");
                assert_eq!(located.single[0].len(), text.split_whitespace().count(), "{name}");
                let places = located.single.iter().flatten().flatten();
                assert!(
                    places.clone().all(|place| (*place as usize) < located.tokens.input_ids.len()),
                    "{name}"
                );
                assert!(places.clone().count() < 12, "{name}");
            }
        }
    }
}
