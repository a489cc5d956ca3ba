//! MPNet: RoBERTa's positions and head, no token types, and a bias by relative distance that all layers share.
//!
//! The bias keeps it from flash attention: it runs on the scaled dot-product kernels that take a mask.
//!
//! Source: Song et al. 2020, arXiv:2004.09297; the bias is T5's, Raffel et al. 2020, arXiv:1910.10683, section 2.1;
//! names as in `transformers`' `MPNetForSequenceClassification`.
//!
//! Legend: `S` longest row of the batch, `h` heads.

use distill_torch::Packing;
use serde_json::json;
use tch::{Device, Kind, Tensor};

use crate::architecture::{Architecture, BERT_KEYS, HeadLayers};
use crate::backbone::Backbone;
use crate::backbones::roberta;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::heads::Head;
use crate::heads::span;
use crate::heads::token;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::Embedding;
use crate::parts::embeddings::Embeddings;
use crate::parts::layer::{self, Layer, LayerNames, Step};
use crate::parts::positions::{distance_places, distances, longest};
use crate::pass::{Pass, Queries};
use crate::recipe::{Recipe, any_layers};

pub(super) static MPNET: Recipe = Recipe {
    architecture: Architecture {
        model_type: "mpnet",
        name: "MPNet",
        prefix: "mpnet",
        layers: "mpnet.encoder.layer.",
        behind_layers: &[],
        heads: HeadLayers::usual(&["classifier.dense", "classifier.out_proj"], Some(roberta::LM_HEAD)),
        unused: &["lm_head.", "mpnet.pooler."],
        keys: BERT_KEYS,
        plain_scores: true,
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
    query_key_value: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
    attention_output: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    inner: "intermediate.dense",
    outer: "output.dense",
    output_norm: "output.LayerNorm",
};

/// `transformers` counts on 32 whatever the config says.
const BUCKETS: i64 = 32;
const MAX_DISTANCE: f64 = 128.0;

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    fields.must_equal("relative_attention_num_buckets", &json!(BUCKETS))?;
    let config = fields.bert()?;
    // Its padding index is not configurable, and its head knows no other dropout than the layers'.
    let config = ModelConfig { type_vocab_size: 0, classifier_dropout: config.hidden_dropout, ..config };
    config.with_first_position(fields, 2)
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(roberta::head(root, config)))
}

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    let scope = root.sub("mpnet");
    let encoder = scope.sub("encoder");
    let layers = encoder.sub("layer");
    Ok(Box::new(MpnetBackbone {
        embeddings: Embeddings::bert(&scope.sub("embeddings"), config),
        layers: (0..config.num_hidden_layers)
            .map(|index| Layer::new(&layers.sub(index), &NAMES, config))
            .collect(),
        relative_attention_bias: Embedding::new(
            &encoder.sub("relative_attention_bias"),
            BUCKETS,
            config.num_attention_heads,
        ),
    }))
}

#[derive(Debug)]
struct MpnetBackbone {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    relative_attention_bias: Embedding,
}

impl MpnetBackbone {
    /// `[1, h, S, S]`
    fn bias(&self, packing: &Packing) -> Tensor {
        let table = self.relative_attention_bias.weight();
        let longest = longest(packing);
        let by_distance = table.index_select(0, &buckets(longest, table.device())).transpose(0, 1); // [h, 2·S − 1]
        let places = distance_places(longest, table.device()).flatten(0, 1); // [S·S]
        by_distance.index_select(1, &places).view([1, -1, longest, longest])
    }
}

impl Backbone for MpnetBackbone {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.layers.iter().for_each(Step::pack);
    }

    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor {
        let embedded = self.embeddings.forward(inputs, pass.mode); // [T, H]
        let bias = self.bias(&inputs.packing).to_kind(embedded.kind());
        let pass = Pass { bias: Some(bias), ..pass };
        layer::run(&self.layers, embedded, queries, &pass) // [N, H]
    }
}

/// The bucket of each distance `key − query`: half for either side, near ones exact, far ones by their logarithm.
/// int64 `[2·S − 1]`.
fn buckets(longest: i64, device: Device) -> Tensor {
    let side = BUCKETS / 2;
    let exact = side / 2;
    let distance = distances(longest, device); // [2·S − 1]
    let far_side = distance.gt(0).to_kind(Kind::Int64) * side;
    let size = distance.abs();
    let (exact_f, rest) = (exact as f64, (side - exact) as f64);
    // In f32 and in this order, as transformers: a border between buckets depends on the last bit.
    let by_logarithm =
        (size.clamp_min(1).to_kind(Kind::Float) / exact_f).log() / (MAX_DISTANCE / exact_f).ln() * rest;
    let large = (by_logarithm.to_kind(Kind::Int64) + exact).clamp_max(side - 1);
    far_side + size.where_self(&size.lt(exact), &large)
}
