//! BERT: learned positions, LayerNorm after each part, GELU, a pooler on `[CLS]`.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, section 3; names as in `transformers`' `BertForSequenceClassification`.

use tch::Tensor;

use crate::architecture::{Architecture, BERT_KEYS, Built, Encoder, any_layers};
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::inputs::Inputs;
use crate::masked::MaskedLayout;
use crate::parameters::Scope;
use crate::parts::embeddings::Embeddings;
use crate::parts::head::Head;
use crate::parts::layer::{self, BERT_NAMES, Layer, Step};
use crate::pass::{Pass, Tokens};

pub(super) static BERT: Architecture = Architecture {
    model_type: "bert",
    class: "BertForSequenceClassification",
    prefix: "bert",
    layers: "bert.encoder.layer.",
    behind_layers: &[],
    head: &["bert.pooler.", "classifier."],
    unused: &["cls.", "bert.cls."],
    keys: BERT_KEYS,
    read: |fields| fields.bert(),
    build,
    keep_layers: any_layers,
    plain_scores: true,
    feed_forward_products: 2,
};

pub(super) static MASKED: MaskedLayout = MaskedLayout {
    model_types: &["bert"],
    dense: "cls.predictions.transform.dense",
    norm: "cls.predictions.transform.LayerNorm",
    decoder: "cls.predictions.decoder",
    bias: "cls.predictions.bias",
    activation: None,
    encoder,
};

fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Built, ModelError> {
    Ok((encoder(root, config), Head::new(root, config, "bert.pooler.dense", "classifier")))
}

fn encoder(root: &Scope<'_>, config: &ModelConfig) -> Box<dyn Encoder> {
    Box::new(BertEncoder::new(&root.sub("bert"), config))
}

/// Embeddings and layers; RoBERTa's is the same with other positions, DistilBERT's with other names.
#[derive(Debug)]
pub(super) struct BertEncoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

impl BertEncoder {
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
        BertEncoder {
            embeddings: Embeddings::bert(&scope.sub("embeddings"), config),
            layers: (0..config.num_hidden_layers).map(|index| layer(&layers.sub(index))).collect(),
        }
    }
}

impl Encoder for BertEncoder {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.layers.iter().for_each(Step::pack);
    }

    fn states(&self, inputs: &Inputs, tokens: Tokens, pass: Pass<'_>) -> Tensor {
        let embedded = self.embeddings.forward(inputs, pass.mode); // [T, H]
        layer::run(&self.layers, embedded, tokens, &pass) // [N, H]
    }
}
