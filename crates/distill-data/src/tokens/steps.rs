//! A tokenizer less its vocabulary, for telling whether `tokenizer.json` says all that is done.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokenizers::{NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper, Tokenizer};

/// The parts in the library's own words, so that two ways to write one thing are equal.
#[derive(Debug, PartialEq)]
pub(super) struct Steps {
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    added_tokens: Value,
    model: Map<String, Value>,
}

impl Steps {
    /// Those of a `tokenizer.json`, whose `model` was taken out; none where the library has no words for them.
    pub fn of_file(file: &Value, model: &Value) -> Option<Self> {
        let added = Some(file["added_tokens"].clone()).filter(|added| !added.is_null());
        Some(Steps {
            normalizer: canonical::<NormalizerWrapper>(&file["normalizer"])?,
            pre_tokenizer: canonical::<PreTokenizerWrapper>(&file["pre_tokenizer"])?,
            post_processor: canonical::<PostProcessorWrapper>(&file["post_processor"])?,
            added_tokens: added.unwrap_or_else(|| json!([])),
            model: settings_of(model),
        })
    }

    /// Those of a tokenizer, whose model has these settings.
    pub fn of(tokenizer: &Tokenizer, model: Map<String, Value>) -> Option<Self> {
        let mut added: Vec<_> = tokenizer.get_added_tokens_decoder().into_iter().collect();
        added.sort_unstable_by_key(|(id, _)| *id);
        let with_id = |(id, token): (u32, tokenizers::AddedToken)| {
            let mut token = serde_json::to_value(token).ok()?;
            token["id"] = id.into();
            Some(token)
        };
        Some(Steps {
            normalizer: serde_json::to_value(tokenizer.get_normalizer()).ok()?,
            pre_tokenizer: serde_json::to_value(tokenizer.get_pre_tokenizer()).ok()?,
            post_processor: serde_json::to_value(tokenizer.get_post_processor()).ok()?,
            added_tokens: Value::Array(added.into_iter().map(with_id).collect::<Option<_>>()?),
            model,
        })
    }
}

fn canonical<T: DeserializeOwned + Serialize>(part: &Value) -> Option<Value> {
    let part: Option<T> = serde_json::from_value(part.clone()).ok()?;
    serde_json::to_value(part).ok()
}

/// What a model does beyond its vocabulary, defaults filled in.
pub(super) fn settings_of(model: &Value) -> Map<String, Value> {
    let defaults: &[(&str, Value)] = match model["type"].as_str() {
        Some("WordPiece") => &[
            ("unk_token", json!("[UNK]")),
            ("continuing_subword_prefix", json!("##")),
            ("max_input_chars_per_word", json!(100)),
        ],
        Some("BPE") => &[
            ("dropout", Value::Null),
            ("unk_token", Value::Null),
            ("continuing_subword_prefix", json!("")),
            ("end_of_word_suffix", json!("")),
            ("fuse_unk", json!(false)),
            ("byte_fallback", json!(false)),
            ("ignore_merges", json!(false)),
        ],
        Some("Unigram") => &[("unk_id", Value::Null), ("byte_fallback", json!(false))],
        _ => &[],
    };
    let setting = |(key, default): &(&str, Value)| {
        let own = model.get(*key).filter(|own| !own.is_null());
        ((*key).to_owned(), own.unwrap_or(default).clone())
    };
    defaults.iter().map(setting).collect()
}
