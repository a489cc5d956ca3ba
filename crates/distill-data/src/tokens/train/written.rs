//! The files of a trained tokenizer.

use std::path::Path;

use distill_core::atomic;
use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::{TrainingError, Vocabulary, VocabularyKind, recipe};
use crate::quiet::quietly;
use crate::tokens::files::{CONFIG, SPECIAL, TOKENIZER};

/// A tokenizer as it is written.
pub struct TrainedTokenizer {
    kind: VocabularyKind,
    tokens: usize,
    alphabet: usize,
    json: Vec<u8>,
}

impl std::fmt::Debug for TrainedTokenizer {
    /// Without its file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} of {} tokens", self.kind, self.tokens)
    }
}

impl TrainedTokenizer {
    /// Its files, which `transformers`' `AutoTokenizer` reads.
    pub const FILES: [&'static str; 3] = [TOKENIZER, CONFIG, SPECIAL];

    pub(super) fn new(
        kind: VocabularyKind,
        lowercase: bool,
        vocabulary: Vocabulary,
    ) -> Result<Self, TrainingError> {
        let Vocabulary { model, tokens, alphabet } = vocabulary;
        let json = serde_json::to_vec(&recipe::tokenizer(kind, lowercase, model));
        let json = json.map_err(|error| TrainingError::Library(error.to_string()))?;
        // As the library itself writes it, so that reading and writing it again changes nothing.
        let tokenizer = quietly(|| Tokenizer::from_bytes(&json)).map_err(TrainingError::Library)?;
        let text = tokenizer.and_then(|tokenizer| tokenizer.to_string(true));
        let json = text.map_err(|error| TrainingError::Library(error.to_string()))?.into_bytes();
        Ok(TrainedTokenizer { kind, tokens, alphabet, json })
    }

    /// Tokens of the vocabulary, special ones included.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Those of one character, or byte.
    pub fn alphabet(&self) -> usize {
        self.alphabet
    }

    /// Writes its files into a directory.
    ///
    /// # Errors
    /// [`TrainingError::File`] naming the file that cannot be written.
    pub fn save_to(&self, directory: &Path) -> Result<(), TrainingError> {
        let pretty = |map: Map<String, Value>| {
            let text = serde_json::to_string_pretty(&map);
            text.map(|text| text + "\n").map_err(|error| TrainingError::Library(error.to_string()))
        };
        let [tokenizer, config, special] = Self::FILES.map(|name| directory.join(name));
        atomic::write(&config, pretty(recipe::config(self.kind))?.as_bytes())?;
        atomic::write(&special, pretty(recipe::special_tokens_map(self.kind))?.as_bytes())?;
        Ok(atomic::write(&tokenizer, &self.json)?)
    }
}
