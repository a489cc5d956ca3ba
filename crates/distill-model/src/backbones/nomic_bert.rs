//! NomicBERT: BERT's plan with rotary positions, a gated feed-forward part and linear layers without bias.
//!
//! Source: Nussbaum et al. 2024, arXiv:2402.01613, section 3; names as `transformers` writes
//! `NomicBertForSequenceClassification`, which are those of the published checkpoints.
//!
//! Legend: `T` tokens in the batch, `N` tokens asked for, `H` hidden.

use serde_json::json;
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
use crate::parts::attention::StackedAttention;
use crate::parts::embeddings::Embeddings;
use crate::parts::feed_forward::{FeedForward, Inner};
use crate::parts::layer::{self, PostNorm, Step};
use crate::parts::positions::Rotary;
use crate::parts::{Embedding, LayerNorm, Linear};
use crate::pass::{Pass, Queries};
use crate::recipe::{Recipe, any_layers};

pub(super) static NOMIC_BERT: Recipe = Recipe {
    architecture: Architecture {
        model_type: "nomic_bert",
        name: "NomicBert",
        prefix: "nomic_bert",
        layers: "nomic_bert.encoder.layers.",
        behind_layers: &[],
        heads: HeadLayers {
            span: &[],
            ..HeadLayers::usual(&["nomic_bert.pooler.dense", "classifier"], Some(MASKED))
        },
        unused: &["cls."],
        keys: BERT_KEYS,
        plain_scores: true,
        feed_forward_products: 3,
    },
    read,
    backbone,
    sequence,
    token: token::build,
    span: span::build,
    keep_layers: any_layers,
};

fn read(fields: &Fields<'_>) -> Result<ModelConfig, ModelError> {
    let config = fields.bert()?;
    theta(fields)?;
    fields.must_equal("head_dim", &json!(config.hidden_size / config.num_attention_heads))?;
    let hidden_dropout = fields.probability("hidden_dropout_prob", 0.0)?;
    Ok(ModelConfig {
        activation: fields.activation("hidden_act", "silu")?,
        hidden_dropout,
        attention_dropout: fields.probability("attention_probs_dropout_prob", 0.0)?,
        classifier_dropout: fields.probability("classifier_dropout", hidden_dropout)?,
        ..config
    })
}

fn theta(fields: &Fields<'_>) -> Result<f64, ModelError> {
    fields.rotary_theta(fields.get("rope_parameters"), 1000.0)
}

const MASKED: MaskedLayers = MaskedLayers {
    layers: [
        "cls.predictions.transform.dense",
        "cls.predictions.transform.layer_norm",
        "cls.predictions.decoder",
    ],
    bias: "cls.predictions.bias",
    always_gelu: false,
    keys: None,
};

fn backbone(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Backbone>, ModelError> {
    let scope = root.sub("nomic_bert");
    let hidden = config.hidden_size;
    let table = |name, rows| Embedding::new(&scope.sub("embeddings").sub(name), rows, hidden);
    let embeddings = Embeddings {
        word: table("word_embeddings", config.vocab_size),
        position: None,
        first_position: 0,
        token_type: Some(table("token_type_embeddings", config.type_vocab_size)),
        projection: None,
        norm: LayerNorm::new(&scope.sub("emb_ln"), hidden, config.layer_norm_eps),
        dropout: config.hidden_dropout,
    };
    let layers = scope.sub("encoder.layers");
    Ok(Box::new(NomicBertBackbone {
        embeddings,
        layers: (0..config.num_hidden_layers).map(|index| Layer::new(&layers.sub(index), config)).collect(),
        theta: theta(&config.fields())?,
        head_size: hidden / config.num_attention_heads,
    }))
}

fn sequence(root: &Scope<'_>, config: &ModelConfig) -> Result<Box<dyn Head>, ModelError> {
    Ok(Box::new(SequenceHead::new(root, config)))
}

#[derive(Debug)]
struct NomicBertBackbone {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    theta: f64,
    head_size: i64,
}

impl Backbone for NomicBertBackbone {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn pack(&self) {
        self.layers.iter().for_each(Step::pack);
    }

    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor {
        let embedded = self.embeddings.forward(inputs, pass.mode); // [T, H]
        let rotary = Rotary::new(&inputs.position_ids, self.head_size, self.theta);
        let pass = Pass { rotary: Some(rotary), ..pass };
        layer::run(&self.layers, embedded, queries, &pass) // [N, H]
    }
}

#[derive(Debug)]
struct Layer {
    attention: StackedAttention,
    rest: PostNorm,
}

impl Layer {
    fn new(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let linear = |name, inputs, outputs| Linear::without_bias(&scope.sub(name), inputs, outputs);
        let norm = |name| LayerNorm::new(&scope.sub(name), hidden, config.layer_norm_eps);
        Layer {
            attention: StackedAttention {
                query_key_value: Linear::stacked(&scope.sub("attn.Wqkv"), hidden, 3, hidden, false),
                heads: config.num_attention_heads,
                dropout: config.attention_dropout,
            },
            rest: PostNorm {
                attention_output: linear("attn.out_proj", hidden, hidden),
                attention_norm: norm("norm1"),
                feed_forward: FeedForward {
                    inner: Inner::Gated(
                        linear("mlp.fc12", hidden, intermediate),
                        linear("mlp.fc11", hidden, intermediate),
                    ),
                    outer: linear("mlp.fc2", intermediate, hidden),
                    activation: config.activation,
                    dropout: 0.0,
                },
                output_norm: norm("norm2"),
                dropout: [config.hidden_dropout; 2],
            },
        }
    }
}

impl Step for Layer {
    fn forward(&self, x: &Tensor, queries: Queries, pass: &Pass<'_>) -> Tensor {
        let gathered = self.attention.forward(x, queries, pass); // [N, H]
        self.rest.forward(&queries.of(x, pass.packing), &gathered, pass.mode) // [N, H]
    }

    fn pack(&self) {
        self.attention.query_key_value.pack();
        self.rest.pack();
    }
}
