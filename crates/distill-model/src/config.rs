//! `config.json`: read leniently, as its ecosystem does; what is not built is refused by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::LabelMap;
use distill_core::read::bounded;
use serde_json::{Map, Value};

use crate::architecture::Architecture;
use crate::backbones;
use crate::error::ModelError;
use crate::fields::{Fields, shown};
pub use crate::kinds::{Activation, ProblemType};

/// Label maps are the only large thing in a config.
const MAX_BYTES: u64 = 16 << 20;

/// What the encoder and head are built from. Keys that distill does not know are kept and
/// written back.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// What is built.
    pub architecture: &'static Architecture,
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
    /// Positions that the model knows; [`ModelConfig::max_length`] says how many tokens a row may have.
    pub max_position_embeddings: i64,
    /// Position of a row's first token; above 0 where positions are counted from behind the padding token's id.
    pub first_position: i64,
    /// Rows of the token type embedding; 0 where there is none.
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
    /// What the logits mean.
    pub problem_type: ProblemType,
    pub(crate) raw: Map<String, Value>,
    pub(crate) path: PathBuf,
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
            Err(_) if bytes.starts_with(b"version https://git-lfs") => {
                let message = "it is a git-lfs pointer, not the file; fetch the files with `git lfs pull`";
                return Err(malformed(message.to_owned()));
            }
            Err(error) => return Err(malformed(format!("not JSON: {error}"))),
        };
        Self::from_json(raw, path)
    }

    /// The config in a JSON object; `path` is named in errors.
    ///
    /// # Errors
    /// As [`ModelConfig::read`].
    pub fn from_json(raw: Map<String, Value>, path: &Path) -> Result<Self, ModelError> {
        let model_type = raw.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let Some(architecture) = backbones::named(model_type) else {
            return Err(ModelError::UnknownArchitecture {
                path: path.to_owned(),
                found: model_type.to_owned(),
                known: backbones::known(),
            });
        };
        let fields = Fields { raw: &raw, path, architecture };
        for flag in ["is_decoder", "add_cross_attention"] {
            if fields.flag(flag, false)? {
                return Err(fields.unsupported("is_decoder", "true", "false"));
            }
        }
        if let Some(pruned) = fields.get("pruned_heads").filter(|heads| **heads != serde_json::json!({})) {
            return Err(fields.unsupported("pruned_heads", shown(pruned), "{}"));
        }
        (architecture.read)(&fields)
    }

    /// The file's fields.
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields { raw: &self.raw, path: &self.path, architecture: self.architecture }
    }

    /// The same, with positions counted from behind the padding token's id.
    pub(crate) fn counting_positions_from_padding(
        self,
        fields: &Fields<'_>,
        default: i64,
    ) -> Result<Self, ModelError> {
        let first = fields.size_from("pad_token_id", 0, default)? + 1;
        self.with_first_position(fields, first)
    }

    /// The same, with a row's first token at this position.
    pub(crate) fn with_first_position(self, fields: &Fields<'_>, first: i64) -> Result<Self, ModelError> {
        if first < self.max_position_embeddings {
            return Ok(ModelConfig { first_position: first, ..self });
        }
        let positions = self.max_position_embeddings;
        Err(fields.malformed(format!("max_position_embeddings {positions} leave none from {first} on")))
    }

    /// Tokens that a row may have.
    pub fn max_length(&self) -> i64 {
        self.max_position_embeddings - self.first_position
    }

    /// The token that takes no position where it stands in a text, in models that count positions from it.
    pub fn uncounted_token(&self) -> Option<u32> {
        (self.first_position > 0).then(|| u32::try_from(self.first_position - 1).unwrap_or(u32::MAX))
    }

    /// The same architecture with other labels; with another number of them, for one label a row.
    pub fn with_labels(&self, labels: LabelMap) -> Self {
        let same = labels.num_labels() == self.labels.num_labels();
        let problem_type = if same { self.problem_type } else { ProblemType::SingleLabel };
        ModelConfig { labels, problem_type, ..self.clone() }
    }

    /// The same architecture whose logits mean something else.
    pub fn with_problem_type(&self, problem_type: ProblemType) -> Self {
        ModelConfig { problem_type, ..self.clone() }
    }

    /// The same architecture with these of its layers, in this order.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] where the architecture does not allow it.
    pub fn with_layers(&self, chosen: &[usize]) -> Result<Self, ModelError> {
        let all: Vec<usize> = (0..self.num_hidden_layers).collect();
        if chosen == all {
            return Ok(self.clone());
        }
        let mut raw = self.raw.clone();
        (self.architecture.keep_layers)(&mut raw, &self.fields(), chosen)?;
        raw.insert(self.architecture.keys.layers.to_owned(), chosen.len().into());
        Ok(ModelConfig { num_hidden_layers: chosen.len(), raw, ..self.clone() })
    }

    /// The same architecture with narrower hidden states: fewer heads of the same size, and a feed-forward part
    /// that is narrower by as much.
    ///
    /// # Errors
    /// [`ModelError::HiddenSize`] unless heads of the same size fill it.
    pub fn with_hidden_size(&self, chosen: i64) -> Result<Self, ModelError> {
        let available = self.hidden_size;
        let step = available / self.num_attention_heads;
        if !(step..=available).contains(&chosen) || chosen % step != 0 {
            return Err(ModelError::HiddenSize { chosen, available, step });
        }
        let (keys, mut raw) = (&self.architecture.keys, self.raw.clone());
        // Widths that follow the hidden states' where they are the same.
        for key in [keys.hidden, "embedding_size", "pooler_hidden_size"] {
            if raw.get(key).and_then(Value::as_i64) == Some(available) {
                raw.insert(key.to_owned(), chosen.into());
            }
        }
        raw.insert(keys.heads.to_owned(), (chosen / step).into());
        raw.insert(keys.intermediate.to_owned(), (self.intermediate_size * chosen / available).max(1).into());
        let config = Self::from_json(raw, &self.path)?;
        Ok(ModelConfig { labels: self.labels.clone(), problem_type: self.problem_type, ..config })
    }

    /// For whoever trains or reads logits: a regression has one output.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for one with several.
    pub fn must_have_one_value(&self) -> Result<(), ModelError> {
        if self.problem_type == ProblemType::Regression && self.labels.num_labels() != 1 {
            let outputs = self.labels.num_labels();
            return Err(self.fields().unsupported("num_labels", format!("{outputs} of a regression"), "1"));
        }
        Ok(())
    }

    /// Ids and token types that there are embeddings for.
    pub fn vocab_sizes(&self) -> (u32, u32) {
        let size = |size: i64| u32::try_from(size).unwrap_or(u32::MAX);
        // Where all tokens are of one type, or of none, the ids are not looked up.
        let types = if self.type_vocab_size > 1 { size(self.type_vocab_size) } else { u32::MAX };
        (size(self.vocab_size), types)
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

    /// The classifier whose head is among these weights, which are under their canonical names: where the file names no
    /// class, or that of an encoder alone. None where it names another one, or where there is no such head.
    pub(crate) fn with_head_among(
        &self,
        shapes: &BTreeMap<String, Vec<i64>>,
    ) -> Option<Result<Self, ModelError>> {
        let names = self.raw.get("architectures").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_bare = |name: &Value| name.as_str().is_some_and(|name| name.ends_with("Model"));
        let head = self.architecture.head;
        let whole = head.iter().all(|start| shapes.keys().any(|name| name.starts_with(start)));
        let [outputs, _] = shapes.get(&format!("{}weight", self.architecture.output()))?.as_slice() else {
            return None;
        };
        if !whole || !names.iter().all(is_bare) {
            return None;
        }
        let mut raw = self.raw.clone();
        raw.insert("architectures".to_owned(), serde_json::json!([self.architecture.class]));
        if self.fields().get("id2label").is_none() {
            raw.insert("num_labels".to_owned(), (*outputs).into());
        }
        Some(Self::from_json(raw, &self.path))
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
        // Of the file that was read; `directory::save` says which the written weights have.
        raw.shift_remove("torch_dtype");
        raw.shift_remove("dtype");
        let names = self.labels.names();
        let label2id: Map<String, Value> =
            names.iter().enumerate().map(|(id, name)| (name.clone(), id.into())).collect();
        let id2label: Map<String, Value> =
            names.iter().enumerate().map(|(id, name)| (id.to_string(), name.clone().into())).collect();
        raw.insert("architectures".to_owned(), serde_json::json!([self.architecture.class]));
        raw.insert("id2label".to_owned(), Value::Object(id2label));
        raw.insert("label2id".to_owned(), Value::Object(label2id));
        raw.insert("problem_type".to_owned(), self.problem_type.name().into());
        Value::Object(raw)
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
        assert_eq!(again.problem_type, ProblemType::SingleLabel);
    }

    #[test]
    fn what_is_not_built_is_refused_with_what_is() {
        let cases: [(&str, Value, &str); 7] = [
            ("model_type", "gpt2".into(), "known: bert"),
            ("hidden_act", "mish".into(), "supported: gelu"),
            ("position_embedding_type", "relative_key".into(), "supported: absolute"),
            ("problem_type", "ranking".into(), "multi_label_classification"),
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
