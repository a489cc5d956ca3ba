//! What the files say about a tokenizer, less its tokens.

use serde_json::{Map, Value};
use tokenizers::TruncationDirection;

use super::class::{Class, takes_types};

/// Settings that change ids, as far as the class reads them.
pub(super) struct Options<'a> {
    /// Who reads the directory.
    pub class: Class,
    config: &'a Map<String, Value>,
    /// Which end of a long text goes.
    pub direction: TruncationDirection,
    /// All token type ids are 0.
    pub untyped: bool,
    /// Special tokens in a text are text.
    pub split_special: bool,
}

impl<'a> Options<'a> {
    /// `own` is the direction that `tokenizer.json` truncates from, if it does; `reader` the class of a vocabulary in
    /// another form, where the one that the files name takes `tokenizer.json` alone.
    ///
    /// # Errors
    /// In words, for a class or a value that is not built here.
    pub fn read(
        config: &'a Map<String, Value>,
        model: &Map<String, Value>,
        own: Option<&str>,
        reader: Option<Class>,
    ) -> Result<Self, String> {
        let text = |object: &Map<String, Value>, key: &str| object.get(key)?.as_str().map(str::to_owned);
        let name = text(config, "tokenizer_class").or_else(|| text(model, "tokenizer_class"));
        let model_type = text(model, "model_type");
        let named = Class::resolve(name.as_deref(), model_type.as_deref())?;
        let class = reader.filter(|_| named == Class::Backend).unwrap_or(named);
        let side = match config.get("truncation_side").filter(|side| !side.is_null()) {
            Some(side) => side.as_str().unwrap_or_default().to_owned(),
            None => own.unwrap_or("right").to_lowercase(),
        };
        let names = config.get("model_input_names").and_then(Value::as_array);
        let typed = names.map_or(class.is_typed(), |names| names.iter().any(|name| name == "token_type_ids"));
        let one_type = model.get("type_vocab_size").and_then(Value::as_i64).is_some_and(|size| size <= 1);
        let mut options = Options {
            class,
            config,
            direction: match side.as_str() {
                "left" => TruncationDirection::Left,
                "right" => TruncationDirection::Right,
                other => return Err(format!("truncation_side is {other:?}, expected right or left")),
            },
            untyped: !typed || one_type || !takes_types(model_type.as_deref()),
            split_special: false,
        };
        options.split_special = options.flag("split_special_tokens", false)?;
        Ok(options)
    }

    /// A setting that is true or false.
    ///
    /// # Errors
    /// In words, for another value.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, String> {
        match self.config.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(format!("{key} is {other}, expected true or false")),
        }
    }

    /// `strip_accents`: null, and no value, follow `do_lower_case`.
    ///
    /// # Errors
    /// As [`Options::flag`].
    pub fn strip_accents(&self) -> Result<Option<bool>, String> {
        match self.config.get("strip_accents") {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.flag("strip_accents", false).map(Some),
        }
    }

    /// An id, such as `unk_id`.
    pub fn id(&self, key: &str) -> Option<u64> {
        self.config.get(key).and_then(Value::as_u64)
    }

    /// What changes ids and is in no `tokenizer.json`, in words.
    pub fn changes(&self) -> String {
        let mut changes = String::new();
        if self.direction == TruncationDirection::Left {
            changes.push_str("truncation_side=left;");
        }
        if self.untyped {
            changes.push_str("no token_type_ids;");
        }
        if self.split_special {
            changes.push_str("split_special_tokens;");
        }
        changes
    }
}

/// The length that `tokenizer_config.json` cuts texts to; none where it has no number that is a length.
pub(super) fn model_max_length(config: &Map<String, Value>) -> Option<usize> {
    // Python writes 1e30 where there is no limit.
    const MOST: f64 = 1e7;
    let length = ["model_max_length", "max_len"].iter().find_map(|key| config.get(*key)?.as_f64())?;
    ((1.0..=MOST).contains(&length) && length.fract() == 0.0).then_some(length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_length_is_a_whole_number_that_a_model_may_have() {
        let length = |config: Value| model_max_length(config.as_object().unwrap());
        assert_eq!(length(json!({"model_max_length": 512})), Some(512));
        assert_eq!(length(json!({"max_len": 64.0})), Some(64));
        assert_eq!(length(json!({"model_max_length": 1e30})), None);
        assert_eq!(length(json!({"model_max_length": null})), None);
        assert_eq!(length(json!({"model_max_length": 0})), None);
        assert_eq!(length(json!({})), None);
    }
}
