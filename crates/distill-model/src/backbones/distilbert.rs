//! DistilBERT: half of BERT's layers under names of its own, no token types, a head with ReLU.
//!
//! Source: Sanh et al. 2019, arXiv:1910.01108; names as in `transformers`' `DistilBertForSequenceClassification`.

use crate::architecture::{Architecture, HeadLayers, Keys, MaskedLayers};
use crate::backbone::Backbone;
use crate::backbones::bert::BertBackbone;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::fields::Fields;
use crate::heads::Head;
use crate::heads::sequence::SequenceHead;
use crate::heads::span;
use crate::heads::token;
use crate::parameters::Scope;
use crate::parts::layer::{Layer, LayerNames};
use crate::recipe::{Recipe, any_layers};

pub(super) static DISTILBERT: Recipe = Recipe {
    architecture: Architecture {
        model_type: "distilbert",
        name: "DistilBert",
        prefix: "distilbert",
        layers: "distilbert.transformer.layer.",
        behind_layers: &[],
        heads: HeadLayers::usual(&["pre_classifier", "classifier"], Some(MASKED)),
        unused: &["vocab_transform.", "vocab_layer_norm.", "vocab_projector."],
        keys: Keys { layers: "n_layers", hidden: "dim", heads: "n_heads", intermediate: "hidden_dim" },
        plain_scores: true,
        feed_forward_products: 2,
    },
    read,
    backbone,
    sequence,
    token: token::with_hidden_dropout,
    span,
    keep_layers: any_layers,
};

const MASKED: MaskedLayers = MaskedLayers {
    layers: ["vocab_transform", "vocab_layer_norm", "vocab_projector"],
    bias: "vocab_projector.bias",
    always_gelu: false,
    keys: None,
};

const NAMES: LayerNames = LayerNames {
    query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    attention_output: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    inner: "ffn.lin1",
    outer: "ffn.lin2",
    output_norm: "output_layer_norm",
};

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let config = fields.sizes()?;
    Ok(ModelConfig {
        type_vocab_size: 0,
        // Not configurable in transformers either.
        layer_norm_eps: 1e-12,
        activation: fields.activation("activation", "gelu")?,
        hidden_dropout: fields.probability("dropout", 0.1)?,
        attention_dropout: fields.probability("attention_dropout", 0.1)?,
        classifier_dropout: fields.probability("seq_classif_dropout", 0.2)?,
        ..config
    })
}

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    Ok(Box::new(BertBackbone::of(&root.sub("distilbert"), config, "transformer.layer", |scope| {
        let mut layer = Layer::new(scope, &NAMES, config);
        // Nothing is dropped of the attention's output.
        layer.rest.dropout = [0.0, config.hidden_dropout];
        layer
    })))
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(SequenceHead { activation: Activation::Relu, ..SequenceHead::new(root, config) }))
}

fn span(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(span::head(root, config, config.fields().probability("qa_dropout", 0.1)?)))
}
