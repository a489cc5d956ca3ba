//! DistilBERT: half of BERT's layers under names of its own, no token types, a head with ReLU.
//!
//! Source: Sanh et al. 2019, arXiv:1910.01108; names as in `transformers`' `DistilBertForSequenceClassification`.

use crate::architecture::{Architecture, Built, Encoder, Keys, any_layers};
use crate::backbones::bert::BertEncoder;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::fields::Fields;
use crate::masked::MaskedLayout;
use crate::parameters::Scope;
use crate::parts::head::Head;
use crate::parts::layer::{Layer, LayerNames};

pub(super) static DISTILBERT: Architecture = Architecture {
    model_type: "distilbert",
    class: "DistilBertForSequenceClassification",
    prefix: "distilbert",
    layers: "distilbert.transformer.layer.",
    behind_layers: &[],
    head: &["pre_classifier.", "classifier."],
    unused: &["vocab_transform.", "vocab_layer_norm.", "vocab_projector."],
    keys: Keys { layers: "n_layers", hidden: "dim", heads: "n_heads", intermediate: "hidden_dim" },
    read,
    build,
    keep_layers: any_layers,
    plain_scores: true,
    feed_forward_products: 2,
};

pub(super) static MASKED: MaskedLayout = MaskedLayout {
    model_types: &["distilbert"],
    dense: "vocab_transform",
    norm: "vocab_layer_norm",
    decoder: "vocab_projector",
    bias: "vocab_projector.bias",
    activation: None,
    encoder,
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

fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Built, ModelError> {
    let encoder = encoder(root, config);
    let head = Head::new(root, config, "pre_classifier", "classifier");
    Ok((encoder, Head { activation: Activation::Relu, ..head }))
}

fn encoder(root: &Scope<'_>, config: &ModelConfig) -> Box<dyn Encoder> {
    Box::new(BertEncoder::of(&root.sub("distilbert"), config, "transformer.layer", |scope| {
        let mut layer = Layer::new(scope, &NAMES, config);
        // Nothing is dropped of the attention's output.
        layer.rest.dropout = [0.0, config.hidden_dropout];
        layer
    }))
}
