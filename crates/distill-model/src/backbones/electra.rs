//! ELECTRA's discriminator: BERT with embeddings that may be narrower than the layers, and a head with GELU.
//!
//! Source: Clark et al. 2020, arXiv:2003.10555; names as in `transformers`' `ElectraForSequenceClassification`.

use tch::Tensor;

use crate::architecture::{Architecture, BERT_KEYS, HeadLayers, MaskedLayers};
use crate::backbone::Backbone;
use crate::backbones::roberta;
use crate::config::{Activation, ModelConfig};
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
use crate::parts::layer::{self, BERT_NAMES, Layer, Step};
use crate::pass::{Pass, Queries};
use crate::recipe::{Recipe, any_layers};

pub(super) static ELECTRA: Recipe = Recipe {
    architecture: Architecture {
        model_type: "electra",
        name: "Electra",
        prefix: "electra",
        layers: "electra.encoder.layer.",
        behind_layers: &[],
        heads: HeadLayers::usual(&["classifier.dense", "classifier.out_proj"], Some(MASKED)),
        unused: &["discriminator_predictions.", "generator_predictions.", "generator_lm_head."],
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
};

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    embedding_size(fields)?;
    fields.bert()
}

fn embedding_size(fields: &Fields<'_>) -> Result<i64, ModelError> {
    fields.size_or("embedding_size", 128)
}

/// The generator's head: the dense layer narrows states to the width of the word vectors.
const MASKED: MaskedLayers = MaskedLayers {
    layers: ["generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head"],
    bias: "generator_lm_head.bias",
    always_gelu: true,
    keys: None,
};

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    let scope = root.sub("electra");
    let width = embedding_size(&config.fields())?;
    let layers = scope.sub("encoder.layer");
    Ok(Box::new(ElectraBackbone {
        embeddings: Embeddings::new(&scope.sub("embeddings"), config, Tables::of_width(width)),
        projection: (width != config.hidden_size)
            .then(|| Linear::new(&scope.sub("embeddings_project"), width, config.hidden_size)),
        layers: (0..config.num_hidden_layers)
            .map(|index| Layer::new(&layers.sub(index), &BERT_NAMES, config))
            .collect(),
    }))
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(SequenceHead { activation: Activation::Gelu, ..roberta::head(root, config) }))
}

#[derive(Debug)]
struct ElectraBackbone {
    embeddings: Embeddings,
    projection: Option<Linear>,
    layers: Vec<Layer>,
}

impl Backbone for ElectraBackbone {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.projection.iter().for_each(Linear::pack);
        self.layers.iter().for_each(Step::pack);
    }

    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor {
        let mut embedded = self.embeddings.forward(inputs, pass.mode); // [T, E]
        if let Some(projection) = &self.projection {
            embedded = projection.forward(&embedded); // [T, H]
        }
        layer::run(&self.layers, embedded, queries, &pass) // [N, H]
    }
}
