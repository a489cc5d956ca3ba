//! RoBERTa, XLM-RoBERTa and CamemBERT: BERT with positions counted from behind the padding token's id, one token
//! type, and a head with a dense layer of its own in place of the pooler.
//!
//! Source: Liu et al. 2019, arXiv:1907.11692; Conneau et al. 2020, arXiv:1911.02116; Martin et al. 2020,
//! arXiv:1911.03894; names as in `transformers`' `RobertaForSequenceClassification`, which all three share.

use crate::architecture::{Architecture, BERT_KEYS, Built, Encoder, any_layers};
use crate::backbones::bert::BertEncoder;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::fields::Fields;
use crate::masked::MaskedLayout;
use crate::parameters::Scope;
use crate::parts::head::Head;

pub(super) static ROBERTA: Architecture = named("roberta", "RobertaForSequenceClassification");
pub(super) static XLM_ROBERTA: Architecture = named("xlm-roberta", "XLMRobertaForSequenceClassification");
pub(super) static CAMEMBERT: Architecture = named("camembert", "CamembertForSequenceClassification");

pub(super) static MASKED: MaskedLayout = lm_head(&["roberta", "xlm-roberta", "camembert"], encoder);

/// RoBERTa's head of a masked language model, which MPNet took over.
pub(super) const fn lm_head(
    model_types: &'static [&'static str],
    encoder: fn(&Scope<'_>, &ModelConfig) -> Box<dyn Encoder>,
) -> MaskedLayout {
    MaskedLayout {
        model_types,
        dense: "lm_head.dense",
        norm: "lm_head.layer_norm",
        decoder: "lm_head.decoder",
        bias: "lm_head.bias",
        // Whatever the layers have.
        activation: Some(Activation::Gelu),
        encoder,
    }
}

const fn named(model_type: &'static str, class: &'static str) -> Architecture {
    Architecture {
        model_type,
        class,
        prefix: "roberta",
        layers: "roberta.encoder.layer.",
        behind_layers: &[],
        head: &["classifier.dense.", "classifier.out_proj."],
        unused: &["lm_head.", "roberta.pooler."],
        keys: BERT_KEYS,
        read,
        build,
        keep_layers: any_layers,
        plain_scores: true,
        feed_forward_products: 2,
    }
}

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    fields.bert()?.counting_positions_from_padding(fields, 1)
}

fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Built, ModelError> {
    Ok((encoder(root, config), head(root, config)))
}

fn encoder(root: &Scope<'_>, config: &ModelConfig) -> Box<dyn Encoder> {
    Box::new(BertEncoder::new(&root.sub("roberta"), config))
}

/// Dropout, dense, tanh, dropout, `out_proj`: RoBERTa's head, which MPNet and ELECTRA took over.
pub(super) fn head(root: &Scope<'_>, config: &ModelConfig) -> Head {
    let head = Head::new(root, config, "classifier.dense", "classifier.out_proj");
    Head { dropout: [config.classifier_dropout; 2], ..head }
}
