//! A tokenizer as it is written: `transformers`, of this major version and the one before, makes the same ids of it.

use std::path::Path;

use distill_core::atomic;
use serde_json::{Map, Value, json};
use tokenizers::{Tokenizer, TruncationDirection};

use super::files::{CONFIG, TOKENIZER, invalid};
use super::options::Options;
use super::special::{NAMES, SpecialTokens};
use super::{TextTokenizer, TokenError};

/// Keys of `tokenizer_config.json` that are said by `tokenizer.json`, or were for whoever reads another form of it.
const DONE: [&str; 27] = [
    "add_bos_token",
    "add_eos_token",
    "add_prefix_space",
    "added_tokens_decoder",
    "additional_special_tokens",
    "auto_map",
    "do_basic_tokenize",
    "do_lower_case",
    "extra_special_tokens",
    "keep_accents",
    "max_len",
    "max_length",
    "merges_file",
    "name_or_path",
    "never_split",
    "pad_to_multiple_of",
    "sp_model_kwargs",
    "special_tokens_map_file",
    "split_by_punct",
    "stride",
    "strip_accents",
    "tokenize_chinese_chars",
    "tokenizer_file",
    "trim_offsets",
    "truncation_strategy",
    "unk_id",
    "vocab_file",
];

/// What is written of a tokenizer.
#[derive(Debug)]
pub(super) struct Saved {
    tokenizer: Vec<u8>,
    config: Map<String, Value>,
}

impl Saved {
    /// `bytes` are the `tokenizer.json` that says all that `tokenizer` does to a text.
    pub fn new(
        bytes: Vec<u8>,
        tokenizer: &Tokenizer,
        config: &Map<String, Value>,
        options: &Options<'_>,
        special: &SpecialTokens,
    ) -> Self {
        let mut config = config.clone();
        config.retain(|key, value| {
            let is_token = key.ends_with("_token") && (value.is_string() || value.is_object());
            !DONE.contains(&key.as_str()) && !is_token
        });
        for name in NAMES {
            // A class's own token that the vocabulary lacks would be added to it.
            if let Some(token) = special.get(name).filter(|token| tokenizer.token_to_id(token).is_some()) {
                config.insert(name.to_owned(), token.into());
            }
        }
        let side = if options.direction == TruncationDirection::Left { "left" } else { "right" };
        config.insert("truncation_side".to_owned(), side.into());
        // On the left it would move the positions of a row.
        config.insert("padding_side".to_owned(), "right".into());
        // The class that takes tokenizer.json as it is; transformers 5 also calls it TokenizersBackend.
        config.insert("tokenizer_class".to_owned(), "PreTrainedTokenizerFast".into());
        Saved { tokenizer: bytes, config }
    }

    /// `tokenizer.json`
    pub fn tokenizer(&self) -> &[u8] {
        &self.tokenizer
    }

    /// Writes another `tokenizer.json`.
    pub fn replace_tokenizer(&mut self, bytes: Vec<u8>) {
        self.tokenizer = bytes;
    }

    /// A special token's text.
    pub fn special(&self, name: &str) -> Option<&str> {
        self.config.get(name)?.as_str()
    }
}

impl TextTokenizer {
    /// Writes `tokenizer.json` and `tokenizer_config.json`, so that `transformers` computes from `dir` what this
    /// tokenizer computes, cut to the same length. `typed`: the model tells token types apart.
    ///
    /// # Errors
    /// [`TokenError::File`] naming the file that cannot be written.
    pub fn save_to(&self, dir: &Path, typed: bool) -> Result<(), TokenError> {
        let mut config = self.saved.config.clone();
        let types = (typed && !self.untyped).then_some("token_type_ids");
        let names: Vec<&str> = ["input_ids"].into_iter().chain(types).chain(["attention_mask"]).collect();
        config.insert("model_input_names".to_owned(), json!(names));
        config.insert("model_max_length".to_owned(), self.max_length.into());
        config.sort_keys();
        let path = dir.join(CONFIG);
        let mut text = serde_json::to_vec_pretty(&config).map_err(|error| invalid(&path, error))?;
        text.push(b'\n');
        atomic::write(&path, &text)?;
        Ok(atomic::write(&dir.join(TOKENIZER), &self.saved.tokenizer)?)
    }
}
