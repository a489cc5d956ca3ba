//! Texts to `input_ids`, exactly as `transformers` makes them.
//!
//! [`TextTokenizer`] reads a Hugging Face directory and encodes rows on all cores. `load` puts it together: from the
//! `files`, by the rules of the tokenizer `class`, with the `options` and `special` tokens that the files have, as the
//! class's `pipeline`; `steps` tells whether `tokenizer.json` says all of it, `save` writes it. `limits` checks what the
//! files ask for, `encode` bounds the work on long texts and truncates, `answers` encodes questions with windows over
//! their texts, `word_windows` rows of words, with
//! `prefix_space` where a vocabulary needs spaces in front of them, `error` is what can go wrong, `words` what the
//! vocabulary holds whole, `locate` where in a text such words are, `unknown` the token for what the vocabulary does not
//! hold, `whole` texts without a limit, `mask_vocabulary` what masking has to know. [`train`] makes a tokenizer of texts,
//! `moved` puts one in the place of another, `trimmed` makes one of a part of its vocabulary, which `keep` chooses.

mod answers;
mod class;
mod encode;
mod error;
mod files;
mod keep;
mod limits;
mod load;
mod locate;
mod mask_vocabulary;
mod moved;
mod options;
mod pipeline;
mod prefix_space;
mod save;
mod special;
mod steps;
pub mod train;
mod trimmed;
mod unknown;
mod whole;
mod word_windows;
mod words;

use std::path::{Path, PathBuf};

use distill_core::StopSignal;
use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationDirection};

pub use answers::{AnswerWindow, Overlap, answer_positions};
pub use error::TokenError;
pub use locate::Located;
pub use mask_vocabulary::MaskVocabulary;
pub use prefix_space::WordsFor;
pub use trimmed::{TokenCounts, Trimmed};
pub use whole::Frame;
pub use word_windows::WordWindow;
pub use words::WholeWords;

use class::Class;
use encode::Splitting;

/// One encoded row, special tokens included, nothing padded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Ids in the vocabulary, at most `max_length`.
    pub input_ids: Vec<u32>,
    /// 0 for the first text, 1 for the second, of the length of `input_ids`.
    pub token_type_ids: Vec<u8>,
    /// Whether `max_length` cost this row any token.
    pub truncated: bool,
}

/// A tokenizer with a maximum length: longest-first truncation, no padding, whatever its file says of those.
#[derive(Debug)]
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    max_length: usize,
    direction: TruncationDirection,
    untyped: bool,
    splitting: Splitting,
    /// How many times longer a text can become before it is cut into words.
    growth: usize,
    /// Tokens that the end of a cut text may differ in.
    margin: usize,
    special_single: usize,
    special_pair: usize,
    vocab_size: usize,
    max_token_id: u32,
    class: Class,
    /// What changes ids and is not in `tokenizer.json`.
    changes: String,
    hash: String,
    /// The file that the vocabulary was read from, for messages.
    path: PathBuf,
    saved: save::Saved,
    stop: StopSignal,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`, `vocab.txt` (BERT's) or `vocab.json` with `merges.txt` (RoBERTa's) as
    /// `AutoTokenizer` of `transformers` 5 does: by the rules of the class that `tokenizer_config.json` or
    /// `config.json` names, with the settings and tokens of `tokenizer_config.json`, `special_tokens_map.json` and
    /// `added_tokens.json`. `max_length` counts special tokens.
    ///
    /// # Errors
    /// [`TokenError`] naming the file that is missing, unreadable or not a tokenizer, a setting that is not built in,
    /// or a `max_length` that the special tokens alone exceed.
    pub fn load(model_dir: &Path, max_length: usize) -> Result<Self, TokenError> {
        load::load(model_dir, max_length)
    }

    /// The same tokenizer, which ends a batch with [`TokenError::Stopped`] once a stop is asked for.
    pub fn stopped_by(self, stop: &StopSignal) -> Self {
        TextTokenizer { stop: stop.clone(), ..self }
    }

    /// Encodes rows of one text or a pair, across the threads of the current rayon pool, in order.
    /// An empty second text is a text, as it is in a batch of `transformers`.
    ///
    /// # Errors
    /// [`TokenError::Encode`] with the row's index in `rows`; [`TokenError::Stopped`].
    pub fn encode_batch(&self, rows: &[(&str, Option<&str>)]) -> Result<Vec<Tokens>, TokenError> {
        rows.par_iter()
            .enumerate()
            .with_min_len(8)
            .map(|(index, (text, pair))| {
                self.stop.check()?;
                self.encode(index, text, *pair)
            })
            .collect()
    }

    /// The longest row this tokenizer gives, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// Entries of the vocabulary, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The greatest id the vocabulary holds; a model needs more embeddings than this.
    pub fn max_token_id(&self) -> u32 {
        self.max_token_id
    }

    /// Special tokens that are added to a single text, or to a pair.
    pub fn special_tokens(&self, pair: bool) -> usize {
        if pair { self.special_pair } else { self.special_single }
    }

    /// blake3 of the `tokenizer.json` that [`TextTokenizer::save_to`] writes, followed by what changes ids and is not
    /// in it. 64 hexadecimal digits; the maximum length is not part of it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The length that a directory's `tokenizer_config.json` cuts texts to, `model_max_length`, if it has one.
    ///
    /// # Errors
    /// [`TokenError`] for a file that cannot be read.
    pub fn model_max_length(model_dir: &Path) -> Result<Option<usize>, TokenError> {
        Ok(options::model_max_length(&files::config(model_dir)?))
    }
}

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod settings_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod word_tests;
