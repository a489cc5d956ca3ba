//! BERT: learned positions, LayerNorm after each part, GELU, a pooler on `[CLS]`.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, section 3; names as in `transformers`' `BertForSequenceClassification`.

use tch::Tensor;

use crate::architecture::{Architecture, BERT_KEYS, HeadLayers, MaskedLayers};
use crate::backbone::Backbone;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::heads::Head;
use crate::heads::sequence::SequenceHead;
use crate::heads::span;
use crate::heads::token;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::embeddings::Embeddings;
use crate::parts::layer::{self, BERT_NAMES, Layer, Step};
use crate::pass::{Pass, Queries};
use crate::recipe::{Recipe, any_layers};

pub(super) static BERT: Recipe = Recipe {
    architecture: Architecture {
        model_type: "bert",
        name: "Bert",
        prefix: "bert",
        layers: "bert.encoder.layer.",
        behind_layers: &[],
        heads: HeadLayers::usual(&["bert.pooler.dense", "classifier"], Some(MASKED)),
        unused: &["cls.", "bert.cls."],
        keys: BERT_KEYS,
        plain_scores: true,
        feed_forward_products: 2,
    },
    read: |fields| fields.bert(),
    backbone,
    sequence,
    token: token::build,
    span: span::build,
    keep_layers: any_layers,
};

/// Names of a masked language model's head, which DeBERTa took over.
pub(super) const MASKED: MaskedLayers = MaskedLayers {
    layers: [
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.decoder",
    ],
    bias: "cls.predictions.bias",
    always_gelu: false,
    keys: None,
};

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    Ok(Box::new(BertBackbone::new(&root.sub("bert"), config)))
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(SequenceHead::new(root, config)))
}

/// Embeddings and layers; RoBERTa's is the same with other positions, DistilBERT's with other names.
#[derive(Debug)]
pub(super) struct BertBackbone {
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

impl BertBackbone {
    pub fn new(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        Self::of(scope, config, "encoder.layer", |scope| Layer::new(scope, &BERT_NAMES, config))
    }

    /// With the layers that `layer` makes under the name `layers`.
    pub fn of(
        scope: &Scope<'_>,
        config: &ModelConfig,
        layers: &str,
        layer: impl Fn(&Scope<'_>) -> Layer,
    ) -> Self {
        let layers = scope.sub(layers);
        BertBackbone {
            embeddings: Embeddings::bert(&scope.sub("embeddings"), config),
            layers: (0..config.num_hidden_layers).map(|index| layer(&layers.sub(index))).collect(),
        }
    }
}

impl Backbone for BertBackbone {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.layers.iter().for_each(Step::pack);
    }

    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor {
        let embedded = self.embeddings.forward(inputs, pass.mode); // [T, H]
        layer::run(&self.layers, embedded, queries, &pass) // [N, H]
    }
}
