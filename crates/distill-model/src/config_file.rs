//! `config.json`: read leniently, as its ecosystem does; what is not built is refused by name.

use std::collections::BTreeMap;
use std::path::Path;

use distill_core::read::bounded;
use serde_json::{Map, Value};

use crate::architecture::HeadKind;
use crate::backbones;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::fields::{Fields, shown};

/// Label maps are the only large thing in a config.
const MAX_BYTES: u64 = 16 << 20;

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
        let Some(recipe) = backbones::recipe(model_type) else {
            return Err(ModelError::UnknownArchitecture {
                path: path.to_owned(),
                found: model_type.to_owned(),
                known: backbones::known(),
            });
        };
        let fields = Fields { raw: &raw, path, architecture: &recipe.architecture };
        for flag in ["is_decoder", "add_cross_attention"] {
            if fields.flag(flag, false)? {
                return Err(fields.unsupported("is_decoder", "true", "false"));
            }
        }
        if let Some(pruned) = fields.get("pruned_heads").filter(|heads| **heads != serde_json::json!({})) {
            return Err(fields.unsupported("pruned_heads", shown(pruned), "{}"));
        }
        (recipe.read)(&fields)
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
        if let Some(recipe) = backbones::recipe(self.architecture.model_type) {
            (recipe.keep_layers)(&mut raw, &self.fields(), chosen)?;
        }
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
        let (labels, problem_type) = (self.labels.clone(), self.problem_type);
        Ok(ModelConfig { labels, problem_type, head: self.head, ..config })
    }

    /// The model whose head is among these weights, which have their names in a model with a head: where the file names no
    /// class, or that of a backbone alone. None where it names another one, or where there is no whole head. Where a head
    /// of rows and one of tokens have the same weights, that of rows is taken.
    pub(crate) fn with_head_among(
        &self,
        shapes: &BTreeMap<String, Vec<i64>>,
    ) -> Option<Result<Self, ModelError>> {
        let names = self.raw.get("architectures").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let is_bare = |name: &Value| name.as_str().is_some_and(|name| name.ends_with("Model"));
        if !names.iter().all(is_bare) {
            return None;
        }
        let architecture = self.architecture;
        let is_there = |layer: &&str| shapes.contains_key(&format!("{layer}.weight"));
        let head = [HeadKind::Sequence, HeadKind::Token, HeadKind::Span].into_iter().find(|head| {
            let layers = architecture.head_layers(*head);
            !layers.is_empty() && layers.iter().all(is_there)
        })?;
        let [outputs, _] = shapes.get(&format!("{}.weight", architecture.output(head)))?.as_slice() else {
            return None;
        };
        let mut raw = self.raw.clone();
        raw.insert("architectures".to_owned(), serde_json::json!([architecture.class(head)]));
        if self.fields().get("id2label").is_none() {
            raw.insert("num_labels".to_owned(), (*outputs).into());
        }
        Some(Self::from_json(raw, &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TaskId;
    use distill_core::LabelMap;

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
        assert_eq!(again.problem_type, TaskId::SINGLE_LABEL);
    }

    #[test]
    fn what_is_not_built_is_refused_with_what_is() {
        let cases: [(&str, Value, &str); 7] = [
            ("model_type", "gpt2".into(), "supported: bert"),
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
