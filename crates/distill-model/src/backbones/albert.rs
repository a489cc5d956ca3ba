//! ALBERT: narrow embeddings that a linear layer widens, and layers that share their weights in groups.
//!
//! Source: Lan et al. 2020, arXiv:1909.11942, section 3.1; names as in `transformers`'
//! `AlbertForSequenceClassification`.

use serde_json::{Map, Value};
use tch::Tensor;

use crate::architecture::{Architecture, BERT_KEYS, HeadLayers, MaskedLayers};
use crate::backbone::Backbone;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::heads::Head;
use crate::heads::sequence::SequenceHead;
use crate::heads::span;
use crate::heads::token;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::Linear;
use crate::parts::embeddings::{Embeddings, Tables};
use crate::parts::layer::{self, Layer, LayerNames, Step};
use crate::pass::{Pass, Queries};
use crate::recipe::Recipe;

pub(super) static ALBERT: Recipe = Recipe {
    architecture: Architecture {
        model_type: "albert",
        name: "Albert",
        prefix: "albert",
        layers: "",
        behind_layers: &[],
        heads: HeadLayers::usual(&["albert.pooler", "classifier"], Some(MASKED)),
        unused: &["predictions.", "sop_classifier."],
        keys: BERT_KEYS,
        plain_scores: true,
        feed_forward_products: 2,
    },
    read,
    backbone,
    sequence,
    token: token::build,
    span: span::build,
    keep_layers,
};

const NAMES: LayerNames = LayerNames {
    query_key_value: ["attention.query", "attention.key", "attention.value"],
    attention_output: "attention.dense",
    attention_norm: "attention.LayerNorm",
    inner: "ffn",
    outer: "ffn_output",
    output_norm: "full_layer_layer_norm",
};

/// Layers inside a group: more than any model has.
const MAX_INNER: usize = 64;

/// How layers share weights.
struct Sharing {
    embedding_size: i64,
    /// Groups, each with weights of its own.
    groups: usize,
    /// Layers inside a group, each with weights of its own.
    inner: usize,
}

impl Sharing {
    fn read(fields: &Fields<'_>) -> Result<Self, ModelError> {
        let count = |name| fields.size_or(name, 1).map(|count| usize::try_from(count).unwrap_or(1));
        Ok(Sharing {
            embedding_size: fields.size_or("embedding_size", 128)?,
            groups: count("num_hidden_groups")?,
            inner: count("inner_group_num")?,
        })
    }
}

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let config = fields.bert()?;
    let sharing = Sharing::read(fields)?;
    if sharing.groups > config.num_hidden_layers {
        return Err(fields.unsupported("num_hidden_groups", sharing.groups, "at most num_hidden_layers"));
    }
    if sharing.inner > MAX_INNER {
        return Err(fields.unsupported("inner_group_num", sharing.inner, "at most 64"));
    }
    Ok(ModelConfig {
        activation: fields.activation("hidden_act", "gelu_new")?,
        hidden_dropout: fields.probability("hidden_dropout_prob", 0.0)?,
        attention_dropout: fields.probability("attention_probs_dropout_prob", 0.0)?,
        classifier_dropout: fields.probability("classifier_dropout_prob", 0.1)?,
        ..config
    })
}

/// With one group, a layer is as good as another: their number counts.
fn keep_layers(_: &mut Map<String, Value>, fields: &Fields<'_>, _: &[usize]) -> Result<(), ModelError> {
    match Sharing::read(fields)?.groups {
        1 => Ok(()),
        groups => Err(fields.unsupported("num_hidden_groups", groups, "1, to select layers")),
    }
}

/// The dense layer narrows states to the width of the word vectors.
const MASKED: MaskedLayers = MaskedLayers {
    layers: ["predictions.dense", "predictions.LayerNorm", "predictions.decoder"],
    bias: "predictions.bias",
    always_gelu: false,
    keys: None,
};

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    let scope = root.sub("albert");
    let sharing = Sharing::read(&config.fields())?;
    let (width, encoder) = (sharing.embedding_size, scope.sub("encoder"));
    let embeddings = Embeddings::new(&scope.sub("embeddings"), config, Tables::of_width(width));
    let widening = Linear::new(&encoder.sub("embedding_hidden_mapping_in"), width, config.hidden_size);
    let group = |index| {
        let layers = encoder.sub("albert_layer_groups").sub(index).sub("albert_layers");
        (0..sharing.inner)
            .map(|index| {
                let mut layer = Layer::new(&layers.sub(index), &NAMES, config);
                // Nothing is dropped of the feed-forward's output.
                layer.rest.dropout = [config.hidden_dropout, 0.0];
                layer
            })
            .collect()
    };
    let groups = (0..sharing.groups).map(group).collect();
    Ok(Box::new(AlbertBackbone { embeddings, widening, groups, repeats: config.num_hidden_layers }))
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(SequenceHead::new(root, config)))
}

#[derive(Debug)]
struct AlbertBackbone {
    embeddings: Embeddings,
    widening: Linear,
    groups: Vec<Vec<Layer>>,
    repeats: usize,
}

impl Backbone for AlbertBackbone {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.widening.pack();
        self.groups.iter().flatten().for_each(Step::pack);
    }

    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor {
        let embedded = self.widening.forward(&self.embeddings.forward(inputs, pass.mode)); // [T, H]
        // Layer i is of group ⌊i · groups / layers⌋.
        let layers = (0..self.repeats).flat_map(|index| &self.groups[index * self.groups.len() / self.repeats]);
        layer::run(layers, embedded, queries, &pass) // [N, H]
    }
}
