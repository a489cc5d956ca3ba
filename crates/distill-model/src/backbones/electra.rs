//! ELECTRA's discriminator: BERT with embeddings that may be narrower than the layers, and a head with GELU.
//!
//! Source: Clark et al. 2020, arXiv:2003.10555; names as in `transformers`' `ElectraForSequenceClassification`.

use tch::Tensor;

use crate::architecture::{Architecture, BERT_KEYS, Built, Encoder, any_layers};
use crate::backbones::roberta;
use crate::config::{Activation, ModelConfig};
use crate::error::ModelError;
use crate::fields::Fields;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::Linear;
use crate::parts::embeddings::{Embeddings, Tables};
use crate::parts::head::Head;
use crate::parts::layer::{self, BERT_NAMES, Layer, Step};
use crate::pass::{Pass, Tokens};

pub(super) static ELECTRA: Architecture = Architecture {
    model_type: "electra",
    class: "ElectraForSequenceClassification",
    prefix: "electra",
    layers: "electra.encoder.layer.",
    behind_layers: &[],
    head: &["classifier.dense.", "classifier.out_proj."],
    unused: &["discriminator_predictions.", "generator_predictions.", "generator_lm_head."],
    keys: BERT_KEYS,
    read,
    build,
    keep_layers: any_layers,
    plain_scores: true,
    feed_forward_products: 2,
};

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    embedding_size(fields)?;
    fields.bert()
}

fn embedding_size(fields: &Fields<'_>) -> Result<i64, ModelError> {
    fields.size_or("embedding_size", 128)
}

fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Built, ModelError> {
    let scope = root.sub("electra");
    let width = embedding_size(&config.fields())?;
    let layers = scope.sub("encoder.layer");
    let encoder = ElectraEncoder {
        embeddings: Embeddings::new(&scope.sub("embeddings"), config, Tables::of_width(width)),
        projection: (width != config.hidden_size)
            .then(|| Linear::new(&scope.sub("embeddings_project"), width, config.hidden_size)),
        layers: (0..config.num_hidden_layers)
            .map(|index| Layer::new(&layers.sub(index), &BERT_NAMES, config))
            .collect(),
    };
    Ok((Box::new(encoder), Head { activation: Activation::Gelu, ..roberta::head(root, config) }))
}

#[derive(Debug)]
struct ElectraEncoder {
    embeddings: Embeddings,
    projection: Option<Linear>,
    layers: Vec<Layer>,
}

impl Encoder for ElectraEncoder {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.projection.iter().for_each(Linear::pack);
        self.layers.iter().for_each(Step::pack);
    }

    fn states(&self, inputs: &Inputs, tokens: Tokens, pass: Pass<'_>) -> Tensor {
        let mut embedded = self.embeddings.forward(inputs, pass.mode); // [T, E]
        if let Some(projection) = &self.projection {
            embedded = projection.forward(&embedded); // [T, H]
        }
        layer::run(&self.layers, embedded, tokens, &pass) // [N, H]
    }
}
