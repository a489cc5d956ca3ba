//! Byte-level vocabularies and rows of words: such a vocabulary has most words with the space in front of them.
//!
//! Source: `RobertaTokenizer` of `transformers` 5.23: "When used with `is_split_into_words=True`, this tokenizer needs to be
//! instantiated with `add_prefix_space=True`."

use distill_core::hash::bytes_hash;
use serde_json::Value;
use tokenizers::{PostProcessorWrapper, PreTokenizerWrapper};

use super::class::Class;
use super::{TextTokenizer, TokenError};
use crate::quiet::quietly;

/// Whose words a tokenizer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordsFor {
    /// A model that was trained on words: it needs the ids that it was trained with.
    TrainedHead,
    /// A head that is still to be trained on words.
    FreshHead,
}

impl TextTokenizer {
    /// The same tokenizer for rows of words, and whether it now puts a space in front of every word.
    ///
    /// It does where the vocabulary is byte-level, the files do not say so already, and either the class is RoBERTa's,
    /// which needs it for words, or the head is fresh, so that a word gets the token that the encoder knows it by. The
    /// setting is then part of [`TextTokenizer::hash`] and of what [`TextTokenizer::save_to`] writes, so that
    /// `transformers` makes the same ids of the written files.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] where the tokenizer's parts do not allow it.
    pub fn for_words(mut self, model: WordsFor) -> Result<(Self, bool), TokenError> {
        let wanted = model == WordsFor::FreshHead || self.class == Class::Roberta;
        if !wanted || !self.set_prefix_space().map_err(|reason| self.invalid(reason))? {
            return Ok((self, false));
        }
        let bytes = self.tokenizer.to_string(false).map_err(|error| self.invalid(error.to_string()))?;
        self.saved.replace_tokenizer(bytes.into_bytes());
        self.hash = bytes_hash(&[self.saved.tokenizer(), self.changes.as_bytes()].concat());
        Ok((self, true))
    }

    pub(super) fn invalid(&self, reason: String) -> TokenError {
        TokenError::Invalid { path: self.path.clone(), reason }
    }

    /// Sets `add_prefix_space` of every byte-level part; false where there is none that lacks it.
    fn set_prefix_space(&mut self) -> Result<bool, String> {
        let text = |error: serde_json::Error| error.to_string();
        let mut before = serde_json::to_value(self.tokenizer.get_pre_tokenizer()).map_err(text)?;
        if !prefixed(&mut before, "pretokenizers", &["ByteLevel"]) {
            return Ok(false);
        }
        let mut after = serde_json::to_value(self.tokenizer.get_post_processor()).map_err(text)?;
        prefixed(&mut after, "processors", &["ByteLevel", "RobertaProcessing"]);
        let before: Option<PreTokenizerWrapper> = serde_json::from_value(before).map_err(text)?;
        let after: Option<PostProcessorWrapper> = serde_json::from_value(after).map_err(text)?;
        quietly(|| {
            self.tokenizer.with_pre_tokenizer(before);
            self.tokenizer.with_post_processor(after);
        })?;
        Ok(true)
    }
}

/// Sets `add_prefix_space` in a part of one of these types, or in those of a sequence; true where any was false.
fn prefixed(part: &mut Value, parts: &str, types: &[&str]) -> bool {
    if let Some(parts_of) = part[parts].as_array_mut() {
        return parts_of.iter_mut().fold(false, |any, part| prefixed(part, parts, types) | any);
    }
    let is_one = part["type"].as_str().is_some_and(|name| types.contains(&name));
    if !is_one || part["add_prefix_space"] == true {
        return false;
    }
    part["add_prefix_space"] = true.into();
    true
}
