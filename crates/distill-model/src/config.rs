//! What a model is built from, as its `config.json` says it. `crate::config_file` reads and changes one.

use std::path::PathBuf;

use distill_core::LabelMap;
use distill_task::Positions;
use serde_json::{Map, Value};

use crate::architecture::{Architecture, HeadKind};
use crate::error::ModelError;
use crate::fields::Fields;
pub use crate::kinds::{Activation, TaskId};

/// Outputs of a head for answers: start and end.
pub(crate) const SPAN_OUTPUTS: i64 = 2;

/// What backbone and head are built from. Keys that distill does not know are kept and
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
    /// The head that the model has, or gets.
    pub head: HeadKind,
    /// Names of the labels; numbered where the file names none.
    pub labels: LabelMap,
    /// What the logits mean.
    pub problem_type: TaskId,
    pub(crate) raw: Map<String, Value>,
    pub(crate) path: PathBuf,
}

impl ModelConfig {
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
        Err(fields.malformed(format!("max_position_embeddings is {positions}, but positions start at {first}")))
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
        let of_rows = self.problem_type.positions() == Positions::Row;
        let problem_type = if same || !of_rows { self.problem_type } else { TaskId::default() };
        ModelConfig { labels, problem_type, ..self.clone() }
    }

    /// The same architecture whose logits mean something else, with the head that goes with it.
    pub fn with_problem_type(&self, problem_type: TaskId) -> Self {
        ModelConfig { problem_type, head: HeadKind::of(problem_type), ..self.clone() }
    }

    /// For whoever trains or reads logits: a regression has one output.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for one with several.
    pub fn must_have_one_value(&self) -> Result<(), ModelError> {
        let (task, outputs) = (self.problem_type, self.labels.num_labels());
        if let Some(fixed) = task.fixed_labels().filter(|fixed| *fixed != outputs) {
            let found = format!("{outputs} of {}", task.words());
            return Err(self.fields().unsupported("num_labels", found, &fixed.to_string()));
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

    /// The same architecture with another head.
    pub fn with_head(&self, head: HeadKind) -> Self {
        ModelConfig { head, ..self.clone() }
    }

    /// The head that the file says the weights carry; none for a backbone alone, or a head that is not built in.
    pub fn named_head(&self) -> Option<HeadKind> {
        self.fields().named_head()
    }

    /// Whether the file says that the weights carry a head for one of the tasks: of rows, words or answers.
    pub fn has_classifier(&self) -> bool {
        matches!(self.named_head(), Some(HeadKind::Sequence | HeadKind::Token | HeadKind::Span))
    }

    /// Number of labels, `C`.
    pub fn num_labels(&self) -> i64 {
        i64::try_from(self.labels.num_labels()).unwrap_or(i64::MAX)
    }

    /// Outputs of the head for each row or position, `C`: labels, start and end of an answer, or the vocabulary.
    pub fn outputs(&self) -> i64 {
        match self.head {
            HeadKind::Sequence | HeadKind::Token => self.num_labels(),
            HeadKind::Span => SPAN_OUTPUTS,
            HeadKind::Masked => self.vocab_size,
        }
    }

    /// `config.json` of a model with this head, which `transformers` loads by the class that it names.
    pub fn to_json(&self) -> Value {
        let mut raw = self.raw.clone();
        raw.shift_remove("_name_or_path");
        raw.shift_remove("num_labels");
        // Of the file that was read; `directory::save` says which the written weights have.
        raw.shift_remove("torch_dtype");
        raw.shift_remove("dtype");
        raw.insert("architectures".to_owned(), serde_json::json!([self.architecture.class(self.head)]));
        match self.head {
            HeadKind::Sequence => {
                self.name_labels(&mut raw);
                if let Some(name) = self.problem_type.problem_type() {
                    raw.insert("problem_type".to_owned(), name.into());
                }
            }
            // What a row's logits mean; nothing of tokens.
            HeadKind::Token => {
                raw.shift_remove("problem_type");
                self.name_labels(&mut raw);
            }
            HeadKind::Span | HeadKind::Masked => {
                raw.retain(|key, _| !["problem_type", "id2label", "label2id"].contains(&key.as_str()));
            }
        }
        Value::Object(raw)
    }

    /// Writes the labels' names, both ways.
    fn name_labels(&self, raw: &mut Map<String, Value>) {
        let names = self.labels.names();
        let label2id: Map<String, Value> =
            names.iter().enumerate().map(|(id, name)| (name.clone(), id.into())).collect();
        let id2label: Map<String, Value> =
            names.iter().enumerate().map(|(id, name)| (id.to_string(), name.clone().into())).collect();
        raw.insert("id2label".to_owned(), Value::Object(id2label));
        raw.insert("label2id".to_owned(), Value::Object(label2id));
    }
}
