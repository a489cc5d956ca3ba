//! Training a tokenizer on texts: WordPiece, byte-level BPE or Unigram, with the special tokens of BERT, RoBERTa or XLM-R.
//!
//! [`TokenizerTrainer`] counts the words of texts and trains on them. `recipe` has what stands around each kind of
//! vocabulary, `words` cuts texts into words and counts characters, `merges` (WordPiece and BPE) and `pieces` (Unigram) call
//! the trainers of the `tokenizers` crate, `written` makes files of the result.
//!
//! The same texts and settings give the same bytes: the trainers iterate over hash maps, so what depends on that order is
//! given to them in a fixed one, or put into one afterwards.
//!
//! Source: Schuster and Nakajima 2012 (WordPiece), here with merges by frequency as in the `tokenizers` crate; Sennrich et al. 2016,
//! arXiv:1508.07909 (BPE); Kudo 2018, arXiv:1804.10959 (Unigram).

mod error;
mod merges;
mod pieces;
mod recipe;
mod words;
mod written;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use error::TrainingError;
pub use written::TrainedTokenizer;

use words::Words;

/// How a vocabulary cuts words into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VocabularyKind {
    /// The longest token first; special tokens of BERT.
    WordPiece,
    /// The likeliest tokens; special tokens of XLM-R.
    Unigram,
    /// Merges of bytes; special tokens of RoBERTa.
    Bpe,
}

/// `distill tokenizer train`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerSettings {
    /// What kind of vocabulary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<VocabularyKind>,
    /// Tokens at most, special ones included.
    pub size: usize,
    /// How often two tokens must follow each other to become one; WordPiece and BPE.
    pub min_frequency: u64,
    /// Put texts into small letters; by default for WordPiece alone, as BERT's uncased models do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lowercase: Option<bool>,
    /// Characters that the vocabulary has at most, the most frequent ones; by default all. WordPiece and Unigram.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_alphabet: Option<usize>,
}

impl Default for TokenizerSettings {
    fn default() -> Self {
        TokenizerSettings { kind: None, size: 30_000, min_frequency: 2, lowercase: None, limit_alphabet: None }
    }
}

impl TokenizerSettings {
    /// Whether texts are put into small letters.
    pub fn lowercases(&self) -> bool {
        self.lowercase.unwrap_or(self.kind == Some(VocabularyKind::WordPiece))
    }

    /// The kind of vocabulary, where all settings have a meaning for it.
    ///
    /// # Errors
    /// [`TrainingError::Setting`] naming the setting; [`TrainingError::TooSmall`] for a size that no text fits.
    pub fn check(&self) -> Result<VocabularyKind, TrainingError> {
        let wrong = |what: &str| Err(TrainingError::Setting(what.to_owned()));
        let Some(kind) = self.kind else {
            return wrong(
                "--kind is missing (or set tokenizer.kind in a --config file): wordpiece, unigram or bpe",
            );
        };
        if self.size > MOST_TOKENS {
            return Err(TrainingError::Setting(format!(
                "tokenizer.size is {}, expected at most {MOST_TOKENS}",
                self.size
            )));
        }
        if kind == VocabularyKind::Bpe && self.limit_alphabet.is_some() {
            return wrong(
                "tokenizer.limit_alphabet has no meaning for bpe: its alphabet is the 256 bytes, so that no character is \
                 unknown",
            );
        }
        if self.limit_alphabet == Some(0) {
            return wrong("tokenizer.limit_alphabet is 0, expected at least 1");
        }
        if kind == VocabularyKind::Bpe {
            self.must_hold(kind, recipe::byte_alphabet().len())?;
        }
        Ok(kind)
    }

    /// Refuses a size that has no room for the special tokens and an alphabet.
    fn must_hold(&self, kind: VocabularyKind, alphabet: usize) -> Result<(), TrainingError> {
        let special = recipe::SPECIAL_TOKENS;
        let needed = special + alphabet;
        if self.size >= needed {
            return Ok(());
        }
        let (characters, advice) = match kind {
            VocabularyKind::Bpe => ("bytes;", "give a larger --size"),
            VocabularyKind::WordPiece => (
                "characters at the beginning of words and within them;",
                "give a larger --size, or --limit-alphabet to leave out rare characters",
            ),
            VocabularyKind::Unigram => {
                ("characters;", "give a larger --size, or --limit-alphabet to leave out rare characters")
            }
        };
        Err(TrainingError::TooSmall { size: self.size, needed, special, alphabet, characters, advice })
    }
}

/// The largest vocabulary: published ones have some 260,000 tokens.
const MOST_TOKENS: usize = 1 << 22;

/// What the trainers give: the `model` of a `tokenizer.json`.
struct Vocabulary {
    model: Value,
    tokens: usize,
    alphabet: usize,
}

/// Counts the words of texts, and makes a tokenizer of them.
///
pub struct TokenizerTrainer {
    settings: TokenizerSettings,
    kind: VocabularyKind,
    words: Words,
}

impl TokenizerTrainer {
    /// A trainer that has seen no text.
    ///
    /// # Errors
    /// As [`TokenizerSettings::check`].
    pub fn new(settings: &TokenizerSettings) -> Result<Self, TrainingError> {
        let kind = settings.check()?;
        let words = Words::new(kind, settings.lowercases())?;
        Ok(TokenizerTrainer { settings: settings.clone(), kind, words })
    }

    /// Counts the words of texts, on all cores.
    ///
    /// # Errors
    /// [`TrainingError::Library`] for a text that cannot be cut into words; [`TrainingError::TooMuch`].
    pub fn count(&mut self, texts: &[String]) -> Result<(), TrainingError> {
        self.words.count(texts)
    }

    /// Trains on the words that were counted.
    ///
    /// # Errors
    /// [`TrainingError::NoWords`], [`TrainingError::TooSmall`] before anything is computed; [`TrainingError::Library`].
    pub fn train(self) -> Result<TrainedTokenizer, TrainingError> {
        let words = self.words.sorted()?;
        let vocabulary = match self.kind {
            VocabularyKind::WordPiece => merges::word_pieces(&self.settings, words)?,
            VocabularyKind::Bpe => merges::byte_pairs(&self.settings, words)?,
            VocabularyKind::Unigram => pieces::unigram(&self.settings, words)?,
        };
        TrainedTokenizer::new(self.kind, self.settings.lowercases(), vocabulary)
    }
}

#[cfg(test)]
mod tests;
