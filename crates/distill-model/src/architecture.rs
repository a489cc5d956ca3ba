//! What an architecture is to the rest of the crate; [`crate::backbones`] has one file for each.

use serde_json::{Map, Value};
use tch::Tensor;

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::head::Head;
use crate::pass::{Pass, Tokens};

/// Turns tokens into hidden states.
pub(crate) trait Encoder: std::fmt::Debug {
    /// The table of word vectors, `[V, E]`.
    fn word_embeddings(&self) -> &Tensor;

    /// Lays the layers' weights out for inference.
    fn pack(&self);

    /// Hidden states after the last layer: of every token, `[T, H]`, or of each row's first, `[B, H]`.
    fn states(&self, inputs: &Inputs, tokens: Tokens, pass: Pass<'_>) -> Tensor;
}

/// Encoder and head put together from a config's values and a scope's parameters.
pub(crate) type Built = (Box<dyn Encoder>, Head);

/// Changes a config's keys for the layers that are kept.
pub(crate) type KeepLayers = fn(&mut Map<String, Value>, &Fields<'_>, &[usize]) -> Result<(), ModelError>;

/// One architecture of `transformers`: how its config is read, its weights are named and its parts stand together.
#[derive(Debug)]
pub struct Architecture {
    /// `model_type` in `config.json`.
    pub model_type: &'static str,
    /// The class that `architectures` names.
    pub class: &'static str,
    /// What stands before the encoder's names in a classifier.
    pub prefix: &'static str,
    /// What stands before a layer's number; empty where layers share their weights.
    pub layers: &'static str,
    /// Beginnings of the names of what stands behind the last layer and before the head.
    pub behind_layers: &'static [&'static str],
    /// Beginnings of the head's names; the last is that of the layer that gives logits.
    pub head: &'static [&'static str],
    /// Beginnings of names that checkpoints carry and a classifier has no use for: the heads of pretraining.
    pub unused: &'static [&'static str],
    /// Names of the sizes in `config.json`.
    pub keys: Keys,
    /// Reads and checks the config.
    pub(crate) read: fn(&Fields<'_>) -> Result<ModelConfig, ModelError>,
    /// Puts the model together.
    pub(crate) build: fn(&Scope<'_>, &ModelConfig) -> Result<Built, ModelError>,
    /// Changes in the config, beyond the number of layers, that go with keeping these layers alone.
    pub(crate) keep_layers: KeepLayers,
    /// Whether attention scores are `q·kᵀ/√d` and a bias that does not depend on the text.
    pub plain_scores: bool,
    /// Matrices between hidden and intermediate width in a layer: 2, or 3 where the feed-forward part is gated.
    pub feed_forward_products: u8,
}

/// Where a layer's parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the layer of this number, from 0.
    Numbered(usize),
    /// In several layers at once.
    Shared,
}

/// What an architecture calls its sizes.
#[derive(Debug)]
pub struct Keys {
    /// Number of layers.
    pub layers: &'static str,
    /// Width of the hidden states.
    pub hidden: &'static str,
    /// Attention heads of a layer.
    pub heads: &'static str,
    /// Width inside the feed-forward part.
    pub intermediate: &'static str,
}

/// BERT's, which most took over.
pub(crate) const BERT_KEYS: Keys = Keys {
    layers: "num_hidden_layers",
    hidden: "hidden_size",
    heads: "num_attention_heads",
    intermediate: "intermediate_size",
};

/// Any layers may be kept, and nothing else changes.
pub(crate) fn any_layers(_: &mut Map<String, Value>, _: &Fields<'_>, _: &[usize]) -> Result<(), ModelError> {
    Ok(())
}

impl Architecture {
    /// Beginning of the names of the layer that gives logits.
    pub fn output(&self) -> &'static str {
        self.head.last().copied().unwrap_or_default()
    }

    /// The layer that a parameter belongs to; none for embeddings, head and what stands around the layers.
    pub fn layer_of(&self, name: &str) -> Option<Place> {
        if self.layers.is_empty() {
            return name.contains("layer_groups.").then_some(Place::Shared);
        }
        let (number, _) = name.strip_prefix(self.layers)?.split_once('.')?;
        number.parse().ok().map(Place::Numbered)
    }

    /// Whether a parameter stands behind the last layer, and before the head.
    pub fn is_behind_layers(&self, name: &str) -> bool {
        self.behind_layers.iter().any(|start| name.starts_with(start))
    }

    /// Whether a parameter belongs to the head.
    pub fn is_head(&self, name: &str) -> bool {
        self.head.iter().any(|start| name.starts_with(start))
    }

    /// Whether a tensor that checkpoints carry has no use here: a pretraining head, or a buffer once saved.
    pub(crate) fn is_unused(&self, name: &str) -> bool {
        self.unused.iter().any(|start| name.starts_with(start)) || name.ends_with("embeddings.position_ids")
    }

    /// The classifier's name of a tensor: older checkpoints say `gamma` and `beta`, and a `bare` encoder has no
    /// prefix.
    pub(crate) fn canonical(&self, name: &str, bare: bool) -> String {
        let name = match name.strip_suffix("LayerNorm.gamma") {
            Some(stem) => format!("{stem}LayerNorm.weight"),
            None => name
                .strip_suffix("LayerNorm.beta")
                .map_or(name.to_owned(), |stem| format!("{stem}LayerNorm.bias")),
        };
        if bare && !self.is_head(&name) { format!("{}.{name}", self.prefix) } else { name }
    }
}
