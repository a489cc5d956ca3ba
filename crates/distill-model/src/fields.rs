//! Typed access to the fields of a `config.json`.

use std::path::Path;

use distill_core::{LabelError, LabelMap};
use serde_json::{Map, Value};

use crate::architecture::{Architecture, HeadKind};
use crate::config::{Activation, ModelConfig, TaskId};
use crate::error::ModelError;

/// More than any model has: a larger number is a mistake, and would fill the memory with names or layers.
const MAX_SIZE: i64 = 1 << 24;
const MAX_LAYERS: i64 = 1 << 10;
const MAX_LABELS: i64 = 1 << 20;

/// The fields of one file, which is named in errors.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub raw: &'a Map<String, Value>,
    pub path: &'a Path,
    pub architecture: &'static Architecture,
}

impl<'a> Fields<'a> {
    pub fn malformed(&self, message: String) -> ModelError {
        ModelError::Malformed { path: self.path.to_owned(), message }
    }

    pub fn unsupported(&self, field: &'static str, value: impl ToString, supported: &str) -> ModelError {
        let (path, supported) = (self.path.to_owned(), supported.to_owned());
        ModelError::Unsupported { path, field, value: value.to_string(), supported }
    }

    /// A field that is there and not null.
    pub fn get(&self, field: &str) -> Option<&'a Value> {
        self.raw.get(field).filter(|value| !value.is_null())
    }

    pub fn text(&self, field: &str, default: &str) -> Result<String, ModelError> {
        match self.get(field) {
            None => Ok(default.to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.malformed(format!("{field} is {}, expected text", shown(other)))),
        }
    }

    pub fn must_be(&self, field: &'static str, supported: &[&str], default: &str) -> Result<(), ModelError> {
        let value = self.text(field, default)?;
        if supported.contains(&value.as_str()) {
            Ok(())
        } else {
            Err(self.unsupported(field, value, &supported.join(", ")))
        }
    }

    /// Refuses a field that is there with another value than the only one that is built.
    pub fn must_equal(&self, field: &'static str, only: &Value) -> Result<(), ModelError> {
        match self.get(field) {
            Some(value) if value != only => Err(self.unsupported(field, shown(value), &only.to_string())),
            _ => Ok(()),
        }
    }

    /// A size: a positive integer that fits any real model.
    pub fn size(&self, field: &str) -> Result<i64, ModelError> {
        self.size_to(field, MAX_SIZE)
    }

    /// An integer from 1 to `most`.
    fn size_to(&self, field: &str, most: i64) -> Result<i64, ModelError> {
        let value = self.get(field).ok_or_else(|| self.malformed(format!("{field} is missing")))?;
        self.integer(field, value, 1, most)
    }

    /// A size that is `default` where the field is absent.
    pub fn size_or(&self, field: &str, default: i64) -> Result<i64, ModelError> {
        self.size_from(field, 1, default)
    }

    /// As [`Fields::size_or`] with another smallest value.
    pub fn size_from(&self, field: &str, least: i64, default: i64) -> Result<i64, ModelError> {
        self.get(field).map_or(Ok(default), |value| self.integer(field, value, least, MAX_SIZE))
    }

    fn integer(&self, field: &str, value: &Value, least: i64, most: i64) -> Result<i64, ModelError> {
        value.as_i64().filter(|size| (least..=most).contains(size)).ok_or_else(|| {
            let value = shown(value);
            self.malformed(format!("{field} is {value}, expected an integer from {least} to {most}"))
        })
    }

    pub fn number(&self, field: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => match value.as_f64() {
                Some(number) if number > 0.0 => Ok(number),
                _ => Err(self.malformed(format!("{field} is {}, expected a number above 0", shown(value)))),
            },
        }
    }

    pub fn probability(&self, field: &str, default: f64) -> Result<f64, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(value) => match value.as_f64() {
                Some(number) if (0.0..1.0).contains(&number) => Ok(number),
                _ => {
                    let value = shown(value);
                    Err(self.malformed(format!("{field} is {value}, expected a number from 0 to below 1")))
                }
            },
        }
    }

    pub fn flag(&self, field: &str, default: bool) -> Result<bool, ModelError> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.malformed(format!("{field} is {}, expected true or false", shown(other)))),
        }
    }

    pub fn activation(&self, field: &'static str, default: &str) -> Result<Activation, ModelError> {
        let name = self.text(field, default)?;
        Activation::named(&name).ok_or_else(|| {
            let known = "gelu, gelu_new, gelu_pytorch_tanh, relu, silu, tanh";
            self.unsupported(field, name, known)
        })
    }

    /// The values that every architecture has, by its own names of the sizes and BERT's of all else.
    pub fn sizes(&self) -> Result<ModelConfig, ModelError> {
        let keys = &self.architecture.keys;
        let labels = self.labels()?;
        let hidden_dropout = self.probability("hidden_dropout_prob", 0.1)?;
        let config = ModelConfig {
            architecture: self.architecture,
            vocab_size: self.size("vocab_size")?,
            hidden_size: self.size(keys.hidden)?,
            num_hidden_layers: usize::try_from(self.size_to(keys.layers, MAX_LAYERS)?).unwrap_or(0),
            num_attention_heads: self.size(keys.heads)?,
            intermediate_size: self.size(keys.intermediate)?,
            max_position_embeddings: self.size("max_position_embeddings")?,
            first_position: 0,
            type_vocab_size: self.size_from("type_vocab_size", 0, 2)?,
            layer_norm_eps: self.number("layer_norm_eps", 1e-12)?,
            activation: self.activation("hidden_act", "gelu")?,
            hidden_dropout,
            attention_dropout: self.probability("attention_probs_dropout_prob", 0.1)?,
            classifier_dropout: self.probability("classifier_dropout", hidden_dropout)?,
            initializer_range: self.number("initializer_range", 0.02)?,
            problem_type: self.problem_type(labels.num_labels())?,
            head: self.named_head().unwrap_or(HeadKind::Sequence),
            labels,
            raw: self.raw.clone(),
            path: self.path.to_owned(),
        };
        if config.hidden_size % config.num_attention_heads == 0 {
            return Ok(config);
        }
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        Err(self.malformed(format!("{} {hidden} is not a multiple of {} {heads}", keys.hidden, keys.heads)))
    }

    /// As [`Fields::sizes`], where positions can only be absolute and there are token types.
    pub fn bert(&self) -> Result<ModelConfig, ModelError> {
        self.must_be("position_embedding_type", &["absolute"], "absolute")?;
        self.size_or("type_vocab_size", 2)?;
        self.sizes()
    }

    /// Base of the angles in a `rope_parameters` object.
    pub fn rotary_theta(&self, parameters: Option<&Value>, default: f64) -> Result<f64, ModelError> {
        if let Some(scaling) = self.get("rope_scaling") {
            return Err(self.unsupported("rope_scaling", shown(scaling), "null"));
        }
        let Some(parameters) = parameters.filter(|value| !value.is_null()) else { return Ok(default) };
        match parameters.get("rope_type").and_then(Value::as_str) {
            None | Some("default") => {}
            Some(other) => return Err(self.unsupported("rope_type", other, "default")),
        }
        match parameters.get("rope_theta").filter(|value| !value.is_null()) {
            None => Ok(default),
            Some(theta) => theta
                .as_f64()
                .filter(|theta| *theta > 0.0)
                .ok_or_else(|| self.malformed(format!("rope_theta is {theta}, expected a number above 0"))),
        }
    }

    /// The head of the first class in `architectures` that has one.
    pub fn named_head(&self) -> Option<HeadKind> {
        let names = self.get("architectures").and_then(Value::as_array)?;
        names.iter().filter_map(Value::as_str).find_map(HeadKind::of_class)
    }

    /// What the class says, or `problem_type` of rows; where it is absent, one output is a regression, as in `transformers`.
    fn problem_type(&self, num_labels: usize) -> Result<TaskId, ModelError> {
        let default = match self.named_head() {
            Some(HeadKind::Token) => return Ok(TaskId::TOKEN_CLASSIFICATION),
            Some(HeadKind::Span) => return Ok(TaskId::QUESTION_ANSWERING),
            _ if num_labels == 1 => TaskId::REGRESSION,
            _ => TaskId::SINGLE_LABEL,
        };
        let name = self.text("problem_type", default.name())?;
        TaskId::of_problem_type(&name).ok_or_else(|| {
            let known = "single_label_classification, multi_label_classification, regression";
            self.unsupported("problem_type", name, known)
        })
    }

    /// `id2label`, else `num_labels` numbered ones, else two as in `transformers`.
    pub fn labels(&self) -> Result<LabelMap, ModelError> {
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
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}
