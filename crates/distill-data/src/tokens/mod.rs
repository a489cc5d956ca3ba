//! Texts to `input_ids`, exactly as `transformers` makes them.
//!
//! [`TextTokenizer`] reads a Hugging Face directory and encodes rows on all cores. `load` reads the files,
//! `limits` checks what they ask for, `encode` bounds the work on long texts and truncates, `error` is what can go
//! wrong, `words` what the vocabulary holds whole, `locate` where in a text such words stand.

mod encode;
mod error;
mod limits;
mod load;
mod locate;
mod words;

use std::path::Path;

use distill_core::{StopSignal, atomic};
use rayon::prelude::*;
use tokenizers::{Tokenizer, TruncationDirection};

pub use error::TokenError;
pub use locate::Located;
pub use words::WholeWords;

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
    hash: String,
    files: Vec<(&'static str, Vec<u8>)>,
    stop: StopSignal,
}

impl TextTokenizer {
    /// Reads `tokenizer.json`, or `vocab.txt` where that is all there is (then a BERT WordPiece tokenizer).
    ///
    /// As in `transformers`, `tokenizer_config.json` has the last word on `do_lower_case`, `strip_accents`,
    /// `tokenize_chinese_chars` and `truncation_side`. `max_length` counts special tokens.
    ///
    /// # Errors
    /// [`TokenError`] naming the file that is missing, unreadable or not a tokenizer, or a `max_length`
    /// that the special tokens alone exceed.
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

    /// blake3 of the tokenizer file's bytes, followed by what `tokenizer_config.json` changes of it.
    /// 64 hexadecimal digits; the maximum length is not part of it.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Writes the tokenizer files as they were read, so that `transformers` loads them from `dir`:
    /// those that exist of `tokenizer.json`, `tokenizer_config.json`, `special_tokens_map.json`, `vocab.txt`.
    /// `tokenizer.json` is made where only `vocab.txt` was there.
    ///
    /// # Errors
    /// [`TokenError::File`] naming the file that cannot be written.
    pub fn save_to(&self, dir: &Path) -> Result<(), TokenError> {
        for (name, bytes) in &self.files {
            atomic::write(&dir.join(name), bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
