//! `config.json`: read leniently, as its ecosystem does; what is not built is refused by name.

use std::path::Path;

use distill_core::read::bounded;
use distill_core::{LabelError, LabelMap};
use serde_json::{Map, Value};

use crate::error::ModelError;

/// Label maps are the only large thing in a config.
const MAX_BYTES: u64 = 16 << 20;
/// More than any model has: a larger number is a mistake, and would fill the memory with names or layers.
const MAX_LAYERS: i64 = 1 << 10;
const MAX_LABELS: i64 = 1 << 20;

/// Architectures that can be built, by `model_type`.
pub const KNOWN_MODEL_TYPES: &[&str] = &["bert"];

/// What the encoder and head are built from. Keys that distill does not know are kept and
/// written back.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Number of token ids, rows of the word embedding.
    pub vocab_size: i64,
    /// Width of the hidden states, `H`.
    pub hidden_size: i64,
    /// Number of transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads a layer, `h`.
    pub num_attention_heads: i64,
    /// Width inside the feed-forward part.
    pub intermediate_size: i64,
    /// Rows of the position embedding: no input may be longer.
    pub max_position_embeddings: i64,
    /// Rows of the token type embedding.
    pub type_vocab_size: i64,
    /// Added to the variance in every LayerNorm.
    pub layer_norm_eps: f64,
    /// Activation of the feed-forward part.
    pub activation: Activation,
    /// Dropout of embeddings and of each part's output.
    pub hidden_dropout: f64,
    /// Dropout of attention weights.
    pub attention_dropout: f64,
    /// Dropout before the classifier.
    pub classifier_dropout: f64,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
    /// Names of the labels; numbered where the file names none.
    pub labels: LabelMap,
    raw: Map<String, Value>,
}

/// Activations that are built, with `transformers`' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `gelu`: the exact form, with the error function.
    Gelu,
    /// `gelu_new`, `gelu_pytorch_tanh`: the tanh approximation.
    GeluTanh,
    /// `relu`.
    Relu,
    /// `silu`, `swish`.
    Silu,
}

impl ModelConfig {
    /// Reads `config.json` at `path`.
    ///
    /// # Errors
    /// [`ModelError`] naming the file and the field that is missing, mistyped or not supported.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let bytes = bounded(path, MAX_BYTES)?;
        let malformed = |message: String| ModelError::Malformed { path: path.to_owned(), message };
        let raw = match serde_json::from_slice(&bytes) {
            Ok(Value::Object(raw)) => raw,
            Ok(_) => return Err(malformed("not a JSON object".to_owned())),
            Err(error) => return Err(malformed(format!("not JSON: {error}"))),
        };
        Self::from_json(raw, path)
    }

    /// The config in a JSON object; `path` is named in errors.
    ///
    /// # Errors
    /// As [`ModelConfig::read`].
    pub fn from_json(raw: Map<String, Value>, path: &Path) -> Result<Self, ModelError> {
        let fields = Fields { raw: &raw, path };
        let model_type = fields.text("model_type", "")?;
        if !KNOWN_MODEL_TYPES.contains(&model_type.as_str()) {
            return Err(ModelError::UnknownArchitecture {
                path: path.to_owned(),
                found: model_type,
                known: KNOWN_MODEL_TYPES.join(", "),
            });
        }
        fields.must_be("position_embedding_type", &["absolute"], "absolute")?;
        fields.must_be("problem_type", &["single_label_classification"], "single_label_classification")?;
        for flag in ["is_decoder", "add_cross_attention"] {
            if raw.get(flag).and_then(Value::as_bool) == Some(true) {
                return Err(fields.unsupported("is_decoder", "true", "false"));
            }
        }
        let hidden_dropout = fields.probability("hidden_dropout_prob", 0.1)?;
        let config = ModelConfig {
            vocab_size: fields.size("vocab_size")?,
            hidden_size: fields.size("hidden_size")?,
            num_hidden_layers: usize::try_from(fields.size_to("num_hidden_layers", MAX_LAYERS)?).unwrap_or(0),
            num_attention_heads: fields.size("num_attention_heads")?,
            intermediate_size: fields.size("intermediate_size")?,
            max_position_embeddings: fields.size("max_position_embeddings")?,
            type_vocab_size: fields.size("type_vocab_size")?,
            layer_norm_eps: fields.number("layer_norm_eps", 1e-12)?,
            activation: fields.activation()?,
            hidden_dropout,
            attention_dropout: fields.probability("attention_probs_dropout_prob", 0.1)?,
            classifier_dropout: fields.probability("classifier_dropout", hidden_dropout)?,
            initializer_range: fields.number("initializer_range", 0.02)?,
            labels: fields.labels()?,
            raw: Map::new(),
        };
        if config.hidden_size % config.num_attention_heads != 0 {
            let message = format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                config.hidden_size, config.num_attention_heads
            );
            return Err(ModelError::Malformed { path: path.to_owned(), message });
        }
        Ok(ModelConfig { raw, ..config })
    }

    /// The same architecture with other labels.
    pub fn with_labels(&self, labels: LabelMap) -> Self {
        ModelConfig { labels, ..self.clone() }
    }

    /// The same architecture with another number of layers.
    pub fn with_layers(&self, num_hidden_layers: usize) -> Self {
        ModelConfig { num_hidden_layers, ..self.clone() }
    }

    /// The same architecture without any dropout.
    pub fn without_dropout(&self) -> Self {
        ModelConfig { hidden_dropout: 0.0, attention_dropout: 0.0, classifier_dropout: 0.0, ..self.clone() }
    }

    /// Ids and token types that there are embeddings for.
    pub fn vocab_sizes(&self) -> (u32, u32) {
        let size = |size: i64| u32::try_from(size).unwrap_or(u32::MAX);
        (size(self.vocab_size), size(self.type_vocab_size))
    }

    /// Whether the file says that the weights carry a classification head.
    pub fn has_classifier(&self) -> bool {
        let classifier =
            |name: &Value| name.as_str().is_some_and(|name| name.ends_with("ForSequenceClassification"));
        self.raw
            .get("architectures")
            .and_then(Value::as_array)
            .is_some_and(|names| names.iter().any(classifier))
    }

    /// Number of labels, `C`.
    pub fn num_labels(&self) -> i64 {
        i64::try_from(self.labels.num_labels()).unwrap_or(i64::MAX)
    }

    /// `config.json` of a classifier, which `transformers` loads by `AutoModelForSequenceClassification`.
    pub fn to_json(&self) -> Value {
        let mut raw = self.raw.clone();
        raw.shift_remove("_name_or_path");
        raw.shift_remove("num_labels");
        let names = self.labels.names();
        let label2id: Map<String, Value> =
            names.iter().enumerate().map(|(id, name)| (name.clone(), id.into())).collect();
        let id2label: Map<String, Value> =
            names.iter().enumerate().map(|(id, name)| (id.to_string(), name.clone().into())).collect();
        raw.insert("architectures".to_owned(), serde_json::json!(["BertForSequenceClassification"]));
        raw.insert("num_hidden_layers".to_owned(), self.num_hidden_layers.into());
        raw.insert("id2label".to_owned(), Value::Object(id2label));
        raw.insert("label2id".to_owned(), Value::Object(label2id));
        raw.insert("problem_type".to_owned(), "single_label_classification".into());
        Value::Object(raw)
    }
}

/// Typed access to the fields of one file.
struct Fields<'a> {
    raw: &'a Map<String, Value>,
    path: &'a Path,
}

impl Fields<'_> {
    fn malformed(&self, message: String) -> ModelError {
        ModelError::Malformed { path: self.path.to_owned(), message }
    }

    fn unsupported(&self, field: &'static str, value: impl ToString, supported: &str) -> ModelError {
        let (path, supported) = (self.path.to_owned(), supported.to_owned());
        ModelError::Unsupported { path, field, value: value.to_string(), supported }
    }

    /// A field that is there and not null.
    fn get(&self, field: &str) -> Option<&Value> {
        self.raw.get(field).filter(|value| !value.is_null())
    }

    fn text(&self, field: &str, default: &str) -> Result<String, ModelError> {
        match self.get(field) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.malformed(format!("{field} is {}, expected text", shown(other)))),
        }
    }

    fn must_be(&self, field: &'static str, supported: &[&str], default: &str) -> Result<(), ModelError> {
        let value = self.text(field, default)?;
        if supported.contains(&value.as_str()) {
            Ok(())
        } else {
            Err(self.unsupported(field, value, &supported.join(", ")))
        }
    }

    /// A size: a positive integer that fits any real model.
    fn size(&self, field: &str) -> Result<i64, ModelError> {
        self.size_to(field, 1 << 24)
    }

    /// An integer from 1 to `most`.
    fn size_to(&self, field: &str, most: i64) -> Result<i64, ModelError> {
        let value = self.get(field).ok_or_else(|| self.malformed(format!("{field} is missing")))?;
        match value.as_i64() {
            Some(size) if (1..=most).contains(&size) => Ok(size),
            _ => {
                let value = shown(value);
                Err(self.malformed(format!("{field} is {value}, expected an integer from 1 to {most}")))
            }
        }
    }

    fn number(&self, field: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => match value.as_f64() {
                Some(number) if number > 0.0 => Ok(number),
                _ => Err(self.malformed(format!("{field} is {}, expected a number above 0", shown(value)))),
            },
        }
    }

    fn probability(&self, field: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => match value.as_f64() {
                Some(number) if (0.0..1.0).contains(&number) => Ok(number),
                _ => {
                    Err(self
                        .malformed(format!("{field} is {}, expected a number from 0 to below 1", shown(value))))
                }
            },
        }
    }

    fn activation(&self) -> Result<Activation, ModelError> {
        match self.text("hidden_act", "gelu")?.as_str() {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            "silu" | "swish" => Ok(Activation::Silu),
            other => {
                Err(self.unsupported("hidden_act", other, "gelu, gelu_new, gelu_pytorch_tanh, relu, silu"))
            }
        }
    }

    /// `id2label`, else `num_labels` numbered ones, else two as in `transformers`.
    fn labels(&self) -> Result<LabelMap, ModelError> {
        let failed = |source: LabelError| ModelError::Labels { path: self.path.to_owned(), source };
        if let Some(id2label) = self.get("id2label") {
            let names: std::collections::BTreeMap<String, String> = serde_json::from_value(id2label.clone())
                .map_err(|error| self.malformed(format!("id2label: {error}")))?;
            return LabelMap::try_from(names).map_err(failed);
        }
        let count = if self.get("num_labels").is_some() { self.size_to("num_labels", MAX_LABELS)? } else { 2 };
        LabelMap::numbered(usize::try_from(count).unwrap_or(2)).map_err(failed)
    }
}

/// A value in a message: a list or an object is not written out.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimal() -> Map<String, Value> {
        let json = serde_json::json!({
            "model_type": "bert", "vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "intermediate_size": 64, "max_position_embeddings": 80, "type_vocab_size": 2,
            "my_own_key": {"kept": true},
        });
        json.as_object().unwrap().clone()
    }

    fn read(change: impl FnOnce(&mut Map<String, Value>)) -> Result<ModelConfig, ModelError> {
        let mut raw = minimal();
        change(&mut raw);
        ModelConfig::from_json(raw, Path::new("m/config.json"))
    }

    #[test]
    fn unknown_keys_survive_and_labels_are_written_both_ways() {
        let labels = LabelMap::new(["no", "yes", "maybe"]).unwrap();
        let json = read(|_| ()).unwrap().with_labels(labels).to_json();
        assert_eq!(json["my_own_key"]["kept"], true);
        assert_eq!(json["id2label"]["2"], "maybe");
        assert_eq!(json["label2id"]["yes"], 1);
        let again = ModelConfig::from_json(json.as_object().unwrap().clone(), Path::new("x")).unwrap();
        assert!(again.has_classifier());
    }

    #[test]
    fn what_is_not_built_is_refused_with_what_is() {
        let cases: [(&str, Value, &str); 7] = [
            ("model_type", "gpt2".into(), "known: bert"),
            ("hidden_act", "mish".into(), "supported: gelu"),
            ("position_embedding_type", "relative_key".into(), "supported: absolute"),
            ("problem_type", "regression".into(), "single_label_classification"),
            ("hidden_size", (-3).into(), "hidden_size is -3"),
            ("hidden_size", 30.into(), "not a multiple"),
            ("hidden_dropout_prob", 1.5.into(), "from 0 to below 1"),
        ];
        for (field, value, expected) in cases {
            let text = read(|raw| drop(raw.insert(field.to_owned(), value))).unwrap_err().to_string();
            assert!(text.contains(expected) && text.contains("m/config.json"), "{text}");
        }
        assert!(
            read(|raw| drop(raw.shift_remove("vocab_size")))
                .unwrap_err()
                .to_string()
                .contains("vocab_size is missing")
        );
    }
}
