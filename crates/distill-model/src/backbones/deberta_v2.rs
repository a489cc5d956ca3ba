//! DeBERTa-v2 and v3: attention in which content and relative position have projections of their own.
//!
//! The scores' bias depends on queries and keys, which keeps it from flash attention: it runs on the scaled
//! dot-product kernels that take a mask.
//!
//! Source: He et al. 2021, arXiv:2006.03654, section 3.1, and He et al. 2023, arXiv:2111.09543; buckets and names as in
//! `transformers`' `DebertaV2ForSequenceClassification`.
//!
//! Legend: `T` tokens in the batch, `N` tokens asked for, `P` relative positions on one side, `H` hidden.

mod disentangled;

use serde_json::{Value, json};
use tch::{Kind, Tensor};

use self::disentangled::{Layer, Relative};
use crate::architecture::{Architecture, BERT_KEYS, HeadLayers};
use crate::backbone::Backbone;
use crate::backbones::bert;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::fields::Fields;
use crate::heads::Head;
use crate::heads::sequence::SequenceHead;
use crate::heads::span;
use crate::heads::token;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::embeddings::{Embeddings, Tables};
use crate::parts::layer::LayerNames;
use crate::parts::positions::longest;
use crate::parts::{Embedding, LayerNorm};
use crate::pass::{Pass, Queries};
use crate::recipe::{Recipe, any_layers};

pub(super) static DEBERTA_V2: Recipe = Recipe {
    architecture: Architecture {
        model_type: "deberta-v2",
        name: "DebertaV2",
        prefix: "deberta",
        layers: "deberta.encoder.layer.",
        behind_layers: &[],
        heads: HeadLayers::usual(&["pooler.dense", "classifier"], Some(bert::MASKED)),
        unused: &["cls.", "lm_predictions.", "mask_predictions."],
        keys: BERT_KEYS,
        plain_scores: false,
        feed_forward_products: 2,
    },
    read,
    backbone,
    sequence,
    token: token::with_hidden_dropout,
    span: span::build,
    keep_layers: any_layers,
};

const NAMES: LayerNames = LayerNames {
    query_key_value: ["attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    outer: "output.dense",
    output_norm: "output.LayerNorm",
};

/// What other architectures do not have.
#[derive(Clone, Copy, Debug)]
struct Details {
    embedding_size: i64,
    /// Whether a table of absolute positions is added to the words.
    absolute: bool,
    /// Whether relative positions take part in attention.
    relative: bool,
    /// Content to position, position to content.
    c2p: bool,
    p2c: bool,
    /// Positions are projected by the content's own layers.
    shared: bool,
    /// The table of relative positions is normed.
    normed: bool,
    /// Relative positions on one side, `P`.
    span: i64,
    /// Distances that far positions are counted up to by their logarithm; none where each has a place of its own.
    max_distance: Option<i64>,
    pooler_dropout: f64,
    pooler_activation: Activation,
}

impl Details {
    fn read(fields: &Fields<'_>, config: &ModelConfig) -> Result<Self, ModelError> {
        fields.must_equal("conv_kernel_size", &json!(0))?;
        fields.must_equal("pooler_hidden_size", &json!(config.hidden_size))?;
        fields.must_equal("attention_head_size", &json!(config.hidden_size / config.num_attention_heads))?;
        // −1 stands for the model's own length, and for no buckets.
        let positive = |name| fields.size_from(name, -1, -1).map(|size| (size > 0).then_some(size));
        let reach = positive("max_relative_positions")?.unwrap_or(config.max_position_embeddings);
        let buckets = positive("position_buckets")?;
        let types = attention_types(fields)?;
        let normed = match fields.text("norm_rel_ebd", "none")?.to_lowercase().trim() {
            "none" => false,
            "layer_norm" => true,
            other => return Err(fields.unsupported("norm_rel_ebd", other, "none, layer_norm")),
        };
        Ok(Details {
            embedding_size: fields.size_or("embedding_size", config.hidden_size)?,
            absolute: fields.flag("position_biased_input", true)?,
            relative: fields.flag("relative_attention", false)?,
            c2p: types.iter().any(|name| name == "c2p"),
            p2c: types.iter().any(|name| name == "p2c"),
            shared: fields.flag("share_att_key", false)?,
            normed,
            span: buckets.unwrap_or(reach),
            max_distance: buckets.map(|_| reach),
            pooler_dropout: fields.probability("pooler_dropout", 0.0)?,
            pooler_activation: fields.activation("pooler_hidden_act", "gelu")?,
        })
    }

    /// Scores are sums of one to three products, and scaled down by as many.
    fn terms(&self) -> f64 {
        1.0 + f64::from(u8::from(self.c2p)) + f64::from(u8::from(self.p2c))
    }
}

/// `pos_att_type`, a list or a text with bars.
fn attention_types(fields: &Fields<'_>) -> Result<Vec<String>, ModelError> {
    let types: Vec<String> = match fields.get("pos_att_type") {
        None => Vec::new(),
        Some(Value::String(text)) => {
            text.to_lowercase().split('|').map(|name| name.trim().to_owned()).collect()
        }
        Some(list) => serde_json::from_value(list.clone())
            .map_err(|error| fields.malformed(format!("pos_att_type: {error}")))?,
    };
    match types.iter().find(|name| !["c2p", "p2c"].contains(&name.as_str())) {
        Some(other) => Err(fields.unsupported("pos_att_type", other, "c2p, p2c")),
        None => Ok(types),
    }
}

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let config = fields.sizes()?;
    let config = ModelConfig {
        type_vocab_size: fields.size_from("type_vocab_size", 0, 0)?,
        layer_norm_eps: fields.number("layer_norm_eps", 1e-7)?,
        classifier_dropout: fields.probability("cls_dropout", config.hidden_dropout)?,
        ..config
    };
    Details::read(fields, &config)?;
    Ok(config)
}

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    let details = Details::read(&config.fields(), config)?;
    let scope = root.sub("deberta");
    let encoder = scope.sub("encoder");
    let (hidden, layers) = (config.hidden_size, encoder.sub("layer"));
    let width = details.embedding_size;
    let tables =
        Tables { width, positions: details.absolute, projection: (width != hidden).then_some("embed_proj") };
    Ok(Box::new(DebertaBackbone {
        embeddings: Embeddings::new(&scope.sub("embeddings"), config, tables),
        layers: (0..config.num_hidden_layers)
            .map(|index| Layer::new(&layers.sub(index), config, details))
            .collect(),
        relative: details
            .relative
            .then(|| Embedding::new(&encoder.sub("rel_embeddings"), 2 * details.span, hidden)),
        relative_norm: details
            .normed
            .then(|| LayerNorm::new(&encoder.sub("LayerNorm"), hidden, config.layer_norm_eps)),
        details,
    }))
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    let details = Details::read(&config.fields(), config)?;
    Ok(Box::new(SequenceHead {
        activation: details.pooler_activation,
        dropout: [details.pooler_dropout, config.classifier_dropout],
        ..SequenceHead::new(root, config)
    }))
}

#[derive(Debug)]
struct DebertaBackbone {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    /// `[2·P, H]`
    relative: Option<Embedding>,
    relative_norm: Option<LayerNorm>,
    details: Details,
}

impl DebertaBackbone {
    /// For rows of up to `longest` tokens, in the kind of the hidden states.
    fn relative(&self, longest: i64, kind: Kind) -> Option<Relative> {
        let table = self.relative.as_ref()?.weight();
        let vectors = self.relative_norm.as_ref().map_or(table.shallow_clone(), |norm| norm.forward(table));
        Some(Relative::new(vectors.to_kind(kind), &self.details, longest))
    }
}

impl Backbone for DebertaBackbone {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.layers.iter().for_each(Layer::pack);
    }

    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor {
        let mut hidden = self.embeddings.forward(inputs, pass.mode); // [T, H]
        let relative = self.relative(longest(&inputs.packing), hidden.kind());
        for (index, layer) in self.layers.iter().enumerate() {
            let wanted = if index + 1 == self.layers.len() { queries } else { Queries::All };
            hidden = layer.forward(&hidden, wanted, &pass, relative.as_ref());
            pass.note_layer(&hidden);
        }
        hidden // [N, H]
    }
}
