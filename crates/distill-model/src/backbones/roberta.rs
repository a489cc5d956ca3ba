//! RoBERTa, XLM-RoBERTa and CamemBERT: BERT with positions counted from behind the padding token's id, one token
//! type, and a head with a dense layer of its own in place of the pooler.
//!
//! Source: Liu et al. 2019, arXiv:1907.11692; Conneau et al. 2020, arXiv:1911.02116; Martin et al. 2020,
//! arXiv:1911.03894; names as in `transformers`' `RobertaForSequenceClassification`, which all three share.

use crate::architecture::{Architecture, BERT_KEYS, HeadLayers, MaskedLayers};
use crate::backbone::Backbone;
use crate::backbones::bert::BertBackbone;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::heads::Head;
use crate::heads::sequence::SequenceHead;
use crate::heads::span;
use crate::heads::token;
use crate::parameters::Scope;
use crate::recipe::{Recipe, any_layers};

pub(super) static ROBERTA: Recipe = named("roberta", "Roberta");
pub(super) static XLM_ROBERTA: Recipe = named("xlm-roberta", "XLMRoberta");
pub(super) static CAMEMBERT: Recipe = named("camembert", "Camembert");

/// Names of a masked language model's head, which MPNet took over.
pub(super) const LM_HEAD: MaskedLayers = MaskedLayers {
    layers: ["lm_head.dense", "lm_head.layer_norm", "lm_head.decoder"],
    bias: "lm_head.bias",
    always_gelu: true,
    keys: None,
};

const fn named(model_type: &'static str, name: &'static str) -> Recipe {
    Recipe {
        architecture: Architecture {
            model_type,
            name,
            prefix: "roberta",
            layers: "roberta.encoder.layer.",
            behind_layers: &[],
            heads: HeadLayers::usual(&["classifier.dense", "classifier.out_proj"], Some(LM_HEAD)),
            unused: &["lm_head.", "roberta.pooler."],
            keys: BERT_KEYS,
            plain_scores: true,
            feed_forward_products: 2,
        },
        read,
        backbone,
        sequence,
        token: token::build,
        span: span::build,
        keep_layers: any_layers,
    }
}

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    fields.bert()?.counting_positions_from_padding(fields, 1)
}

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    Ok(Box::new(BertBackbone::new(&root.sub("roberta"), config)))
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(head(root, config)))
}

/// Dropout, dense, tanh, dropout, `out_proj`: RoBERTa's head of rows, which MPNet and ELECTRA took over.
pub(super) fn head(root: &Scope<'_>, config: &ModelConfig) -> SequenceHead {
    SequenceHead { dropout: [config.classifier_dropout; 2], ..SequenceHead::new(root, config) }
}
