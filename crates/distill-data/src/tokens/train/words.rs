//! From texts to words with their counts.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, PreTokenizerWrapper,
};

use super::{TrainingError, VocabularyKind, recipe};
use crate::quiet::quietly;

/// Characters of all words: the trainers count in 32 bits, and only a debug build notices where they overflow.
const MOST_CHARACTERS: u64 = i32::MAX as u64;
/// Characters of a word: WordPiece makes one unknown token of a longer one.
const LONGEST_WORD_PIECE: usize = 100;
/// Characters of a word that Unigram is trained on; longer ones, as in languages without spaces, are cut. The default of
/// SentencePiece is 4,192 bytes.
const LONGEST_UNIGRAM: usize = 1_000;

/// A word and how often it occurs.
pub(super) type Counted = (String, u64);

/// Words that texts are cut into as the tokenizer will do it.
pub(super) struct Words {
    kind: VocabularyKind,
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
    counts: HashMap<String, u64>,
    characters: u64,
}

impl Words {
    pub fn new(kind: VocabularyKind, lowercase: bool) -> Result<Self, TrainingError> {
        let (normalizer, pre_tokenizer) = recipe::steps(kind, lowercase);
        let text = |error: serde_json::Error| TrainingError::Library(error.to_string());
        Ok(Words {
            kind,
            normalizer: serde_json::from_value(normalizer).map_err(text)?,
            pre_tokenizer: serde_json::from_value(pre_tokenizer).map_err(text)?,
            counts: HashMap::new(),
            characters: 0,
        })
    }

    pub fn count(&mut self, texts: &[String]) -> Result<(), TrainingError> {
        let parts = texts.par_chunks(64).map(|texts| {
            let mut counts: HashMap<String, u64> = HashMap::new();
            // Byte-level vocabularies have spaces as words.
            for text in texts.iter().filter(|text| !text.trim().is_empty()) {
                for word in self.of_text(text)? {
                    *counts.entry(word).or_default() += 1;
                }
            }
            Ok(counts)
        });
        let parts: Vec<HashMap<String, u64>> = parts.collect::<Result<_, TrainingError>>()?;
        for (word, count) in parts.into_iter().flatten() {
            self.characters += count * word.chars().count() as u64;
            *self.counts.entry(word).or_default() += count;
        }
        match self.characters > MOST_CHARACTERS {
            true => Err(TrainingError::TooMuch { limit: MOST_CHARACTERS }),
            false => Ok(()),
        }
    }

    fn of_text(&self, text: &str) -> Result<Vec<String>, TrainingError> {
        let cut = || -> tokenizers::Result<Vec<String>> {
            let mut normalized = NormalizedString::from(text);
            if let Some(normalizer) = &self.normalizer {
                normalizer.normalize(&mut normalized)?;
            }
            let mut words = PreTokenizedString::from(normalized);
            if let Some(pre_tokenizer) = &self.pre_tokenizer {
                pre_tokenizer.pre_tokenize(&mut words)?;
            }
            let words = words.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
            Ok(words.into_iter().flat_map(|(word, ..)| self.usable(word)).collect())
        };
        let words = quietly(cut).map_err(TrainingError::Library)?;
        words.map_err(|error| TrainingError::Library(error.to_string()))
    }

    /// What of a word is trained on.
    fn usable(&self, word: &str) -> Vec<String> {
        let length = word.chars().count();
        match self.kind {
            _ if length == 0 => Vec::new(),
            VocabularyKind::WordPiece if length > LONGEST_WORD_PIECE => Vec::new(),
            VocabularyKind::Unigram if length > LONGEST_UNIGRAM => {
                let characters: Vec<char> = word.chars().collect();
                characters.chunks(LONGEST_UNIGRAM).map(|part| part.iter().collect()).collect()
            }
            _ => vec![word.to_owned()],
        }
    }

    /// All words in their order.
    pub fn sorted(self) -> Result<Vec<Counted>, TrainingError> {
        let mut words: Vec<Counted> = self.counts.into_iter().collect();
        words.sort_unstable();
        if words.is_empty() { Err(TrainingError::NoWords) } else { Ok(words) }
    }
}

/// The characters that a vocabulary keeps: all, or the `limit` most frequent ones, of equally frequent ones the first.
pub(super) fn alphabet(words: &[Counted], limit: Option<usize>) -> Vec<char> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    for (word, count) in words {
        for character in word.chars() {
            *counts.entry(character).or_default() += count;
        }
    }
    let mut by_count: Vec<(char, u64)> = counts.into_iter().collect();
    by_count.sort_by_key(|(character, count)| (std::cmp::Reverse(*count), *character));
    by_count.truncate(limit.unwrap_or(usize::MAX));
    let mut kept: Vec<char> = by_count.into_iter().map(|(character, _)| character).collect();
    kept.sort_unstable();
    kept
}
