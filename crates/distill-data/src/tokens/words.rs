//! The words that a vocabulary holds whole.

use std::collections::BTreeMap;

use super::{TextTokenizer, TokenError};
use crate::quiet::quietly;

/// A token that says a word.
struct Whole {
    token: u32,
    word: String,
    /// Whether it is the word's token behind a space; some vocabularies have another elsewhere.
    behind_space: bool,
}

impl TextTokenizer {
    /// Every word of two letters or more that is one token, with its id.
    pub fn words(&self) -> BTreeMap<String, u32> {
        let mut words = BTreeMap::new();
        for whole in self.whole() {
            words.entry(whole.word).or_insert(whole.token);
        }
        words
    }

    /// The same words with all of their tokens, for a masked language model to choose among.
    ///
    /// # Errors
    /// [`TokenError::NoMask`] where the tokenizer has no mask token.
    pub fn whole_words(&self) -> Result<WholeWords, TokenError> {
        Ok(WholeWords::new(self.mask_token().ok_or(TokenError::NoMask)?, self.whole()))
    }

    /// In the order of the ids.
    fn whole(&self) -> Vec<Whole> {
        let mut ids: Vec<u32> = self.tokenizer.get_vocab(true).into_values().collect();
        ids.sort_unstable();
        // A tokenizer file from outside can ask for what the crate asserts against.
        ids.into_iter().filter_map(|id| quietly(|| self.word(id)).ok().flatten()).collect()
    }

    /// What a token says, where that alone, or behind a space, is the token again.
    fn word(&self, token: u32) -> Option<Whole> {
        let decoded = self.tokenizer.decode(&[token], true).ok()?;
        let word = decoded.trim();
        if word.chars().count() < 2 || !word.chars().all(char::is_alphabetic) {
            return None;
        }
        let is_token = |text: &str| {
            self.tokenizer.encode_fast(text, false).is_ok_and(|encoding| encoding.get_ids() == [token])
        };
        let behind_space = is_token(&format!(" {word}"));
        (behind_space || is_token(word)).then(|| Whole { token, word: word.to_owned(), behind_space })
    }

    /// The mask token as the tokenizer's files name it, else by its usual names.
    pub(super) fn mask_token(&self) -> Option<u32> {
        let named = self.saved.special("mask_token").map(str::to_owned).into_iter();
        let usual = ["[MASK]", "<mask>"].map(str::to_owned);
        named.chain(usual).find_map(|token| self.tokenizer.token_to_id(&token))
    }
}

/// The words that a vocabulary holds whole, and the token that masks them.
///
/// Where a vocabulary tells words behind a space from others, a masked word's place is one for the kind that it is of;
/// so the words are in two lists, the second empty in most vocabularies.
#[derive(Clone, Debug)]
pub struct WholeWords {
    mask: u32,
    lists: [Vec<u32>; 2],
    /// Each token's word, that word in small letters, and its list.
    words: BTreeMap<u32, (String, String, usize)>,
    /// How many tokens of a list say a word, whatever its letters' size.
    same: [BTreeMap<String, usize>; 2],
}

impl WholeWords {
    fn new(mask: u32, whole: Vec<Whole>) -> Self {
        let mut all =
            WholeWords { mask, lists: [vec![], vec![]], words: BTreeMap::new(), same: Default::default() };
        for Whole { token, word, behind_space } in whole {
            let list = usize::from(!behind_space);
            let small = word.to_lowercase();
            all.lists[list].push(token);
            *all.same[list].entry(small.clone()).or_default() += 1;
            all.words.insert(token, (word, small, list));
        }
        all
    }

    /// The token that masks another.
    pub fn mask(&self) -> u32 {
        self.mask
    }

    /// The tokens of both lists.
    pub fn lists(&self) -> &[Vec<u32>; 2] {
        &self.lists
    }

    /// The list that a token stands in, if it says a word, and how many others of it say another word.
    pub fn others(&self, token: u32) -> Option<(usize, usize)> {
        let (_, small, list) = self.words.get(&token)?;
        Some((*list, self.lists[*list].len() - self.same[*list].get(small).copied().unwrap_or(0)))
    }

    /// How many tokens have to be asked for, so that `count` of them say another word than the masked one.
    pub fn to_ask_for(&self, count: usize) -> usize {
        count + self.same.iter().flat_map(BTreeMap::values).copied().max().unwrap_or(0)
    }

    /// Of `likeliest`, places in the list of `token`, the word of the `pick`th that says another word.
    pub fn another(&self, token: u32, likeliest: &[u32], pick: usize) -> Option<&str> {
        let (_, small, list) = self.words.get(&token)?;
        let said = likeliest.iter().filter_map(|place| self.words.get(self.lists[*list].get(*place as usize)?));
        said.filter(|(_, other, _)| other != small).nth(pick).map(|(word, ..)| word.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn load(name: &str) -> (TextTokenizer, WholeWords) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        let tokenizer = TextTokenizer::load(&folder, 16).unwrap();
        let words = tokenizer.whole_words().unwrap();
        (tokenizer, words)
    }

    #[test]
    fn a_word_behind_a_space_gives_way_to_its_like_where_the_vocabulary_tells_them_apart() {
        let (tokenizer, words) = load("tiny-byte-level");
        let token = |text: &str| tokenizer.tokenizer.token_to_id(text).unwrap();
        assert_eq!(words.mask(), token("<mask>"));
        assert_eq!((words.others(token("Ġthe")).unwrap().0, words.others(token("what")).unwrap().0), (0, 1));
        assert!(words.lists()[0].contains(&token("Ġfar")) && !words.lists()[1].contains(&token("Ġfar")));
        assert_eq!(words.others(token("</s>")), None);
        let (_, bert) = load("tiny-bert");
        assert!(bert.lists()[1].is_empty());
    }

    #[test]
    fn the_masked_word_itself_is_passed_over_and_more_are_asked_for_instead() {
        let (tokenizer, words) = load("tiny-bert");
        let token = |text: &str| tokenizer.tokenizer.token_to_id(text).unwrap();
        let list = &words.lists()[0];
        let place = |text: &str| list.iter().position(|known| *known == token(text)).unwrap() as u32;
        let likeliest = ["what", "is", "the"].map(place);
        assert_eq!(words.others(token("is")), Some((0, list.len() - 1)));
        assert_eq!(words.to_ask_for(2), 3);
        assert_eq!(words.another(token("is"), &likeliest, 1), Some("the"));
        assert_eq!(words.another(token("is"), &likeliest, 2), None);
        assert_eq!(words.another(token("[SEP]"), &likeliest, 0), None);
    }

    #[test]
    fn a_tokenizer_that_masks_nothing_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let vocabulary = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nwhat\n";
        distill_core::atomic::write(&folder.path().join("vocab.txt"), vocabulary).unwrap();
        let tokenizer = TextTokenizer::load(folder.path(), 8).unwrap();
        assert!(matches!(tokenizer.whole_words(), Err(TokenError::NoMask)));
    }
}
