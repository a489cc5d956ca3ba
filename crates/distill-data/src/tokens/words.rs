//! The words that a vocabulary holds whole.

use std::collections::BTreeMap;

use super::TextTokenizer;
use crate::quiet::quietly;

impl TextTokenizer {
    /// Every word of two letters or more that is one token, with its id.
    pub fn words(&self) -> BTreeMap<String, u32> {
        let mut ids: Vec<u32> = self.tokenizer.get_vocab(true).into_values().collect();
        ids.sort_unstable();
        let mut words = BTreeMap::new();
        for id in ids {
            // A tokenizer file from outside can ask for what the crate asserts against.
            if let Ok(Some(word)) = quietly(|| self.word(id)) {
                words.entry(word).or_insert(id);
            }
        }
        words
    }

    /// What a token says, where that alone, or behind a space, is the token again.
    fn word(&self, id: u32) -> Option<String> {
        let decoded = self.tokenizer.decode(&[id], true).ok()?;
        let word = decoded.trim();
        if word.chars().count() < 2 || !word.chars().all(char::is_alphabetic) {
            return None;
        }
        let is_token = |text: &str| {
            self.tokenizer.encode_fast(text, false).is_ok_and(|encoding| encoding.get_ids() == [id])
        };
        (is_token(word) || is_token(&format!(" {word}"))).then(|| word.to_owned())
    }
}
