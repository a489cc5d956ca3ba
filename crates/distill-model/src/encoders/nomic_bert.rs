//! NomicBERT: BERT's plan with rotary positions, a gated feed-forward part and linear layers without bias.
//!
//! Source: Nussbaum et al. 2024, arXiv:2402.01613, section 3; names as in `transformers`'
//! `NomicBertForSequenceClassification`.

use serde_json::json;
use tch::Tensor;

use crate::architecture::{Architecture, BERT_KEYS, Built, Encoder, any_layers};
use crate::classifier::Mode;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::fields::Fields;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::attention::{Pass, SelfAttention, Tokens};
use crate::parts::embeddings::{Embeddings, Tables};
use crate::parts::feed_forward::{FeedForward, Inner};
use crate::parts::head::Head;
use crate::parts::layer::{self, Layer, PostNorm};
use crate::parts::positions::Rotary;
use crate::parts::{LayerNorm, Linear};

pub(super) static NOMIC_BERT: Architecture = Architecture {
    model_type: "nomic_bert",
    class: "NomicBertForSequenceClassification",
    prefix: "nomic_bert",
    layers: "nomic_bert.layers.",
    head: &["nomic_bert.pooler.", "classifier."],
    unused: &["cls."],
    keys: BERT_KEYS,
    read,
    build,
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

fn build(root: &Scope<'_>, config: &ModelConfig) -> Result<Built, ModelError> {
    let scope = root.sub("nomic_bert");
    let tables = Tables { positions: false, ..Tables::of_width(config.hidden_size) };
    let embeddings = Embeddings::new(&scope.sub("embeddings"), config, tables);
    let encoder = NomicBertEncoder {
        embeddings,
        layers: (0..config.num_hidden_layers)
            .map(|index| layer(&scope.sub("layers").sub(index), config))
            .collect(),
        theta: theta(&config.fields())?,
        head_size: config.hidden_size / config.num_attention_heads,
    };
    Ok((Box::new(encoder), Head::new(root, config, "nomic_bert.pooler.dense", "classifier")))
}

fn layer(scope: &Scope<'_>, config: &ModelConfig) -> Layer {
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let linear = |name, inputs, outputs| Linear::without_bias(&scope.sub(name), inputs, outputs);
    let norm = |name| LayerNorm::new(&scope.sub(name), hidden, config.layer_norm_eps);
    let names = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
    let (heads, dropout) = (config.num_attention_heads, config.attention_dropout);
    Layer {
        attention: SelfAttention::new(scope, names, hidden, heads, false, dropout),
        rest: PostNorm {
            attention_output: linear("self_attn.o_proj", hidden, hidden),
            attention_norm: norm("post_attention_layernorm"),
            feed_forward: FeedForward {
                inner: Inner::Gated(
                    linear("mlp.gate_proj", hidden, intermediate),
                    linear("mlp.up_proj", hidden, intermediate),
                ),
                outer: linear("mlp.down_proj", intermediate, hidden),
                activation: config.activation,
                dropout: 0.0,
            },
            output_norm: norm("post_mlp_layernorm"),
            dropout: [config.hidden_dropout; 2],
        },
    }
}

#[derive(Debug)]
struct NomicBertEncoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
    theta: f64,
    head_size: i64,
}

impl Encoder for NomicBertEncoder {
    fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings()
    }

    fn states(&self, inputs: &Inputs, tokens: Tokens, mode: Mode<'_>) -> Tensor {
        let embedded = self.embeddings.forward(inputs, mode); // [T, H]
        let rotary = Rotary::new(&inputs.position_ids, self.head_size, self.theta);
        let pass = Pass { rotary: Some(rotary), ..Pass::new(inputs, mode) };
        layer::run(&self.layers, embedded, tokens, &pass) // [N, H]
    }
}
