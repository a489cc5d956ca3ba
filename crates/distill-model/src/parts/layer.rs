//! The layer of BERT and its kin: attention and feed-forward, each with a residual and a norm behind it.
//!
//! Legend: `T` tokens in the batch, `N` tokens asked for, `B` rows, `H` hidden.

use tch::Tensor;

use crate::config::ModelConfig;
use crate::mode::Mode;
use crate::parameters::Scope;
use crate::parts::attention::SelfAttention;
use crate::parts::feed_forward::{FeedForward, Inner};
use crate::parts::{LayerNorm, Linear};
use crate::pass::{Pass, Queries};

/// What an architecture calls the parts of a layer.
pub(crate) struct LayerNames {
    pub query_key_value: [&'static str; 3],
    pub attention_output: &'static str,
    pub attention_norm: &'static str,
    pub inner: &'static str,
    pub outer: &'static str,
    pub output_norm: &'static str,
}

/// BERT's own, which RoBERTa and ELECTRA took over.
pub(crate) const BERT_NAMES: LayerNames = LayerNames {
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    inner: "intermediate.dense",
    outer: "output.dense",
    output_norm: "output.LayerNorm",
};

/// Everything of a layer behind its attention.
#[derive(Debug)]
pub(crate) struct PostNorm {
    pub attention_output: Linear,
    pub attention_norm: LayerNorm,
    pub feed_forward: FeedForward,
    pub output_norm: LayerNorm,
    /// Of the attention's output, and of the feed-forward's.
    pub dropout: [f64; 2],
}

impl PostNorm {
    /// With a plain feed-forward part and the config's dropout.
    pub fn new(scope: &Scope<'_>, names: &LayerNames, config: &ModelConfig) -> Self {
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let norm = |name| LayerNorm::new(&scope.sub(name), hidden, config.layer_norm_eps);
        PostNorm {
            attention_output: Linear::new(&scope.sub(names.attention_output), hidden, hidden),
            attention_norm: norm(names.attention_norm),
            feed_forward: FeedForward {
                inner: Inner::Plain(Linear::new(&scope.sub(names.inner), hidden, intermediate)),
                outer: Linear::new(&scope.sub(names.outer), intermediate, hidden),
                activation: config.activation,
                dropout: 0.0,
            },
            output_norm: norm(names.output_norm),
            dropout: [config.hidden_dropout; 2],
        }
    }

    /// `x`: the layer's input, `gathered`: what attention made of it; both and the result `[N, H]`.
    pub fn forward(&self, x: &Tensor, gathered: &Tensor, mode: Mode<'_>) -> Tensor {
        let [after_attention, after_feed_forward] = self.dropout;
        let projected = self.attention_output.forward_residual(gathered, mode, after_attention, x); // [N, H]
        let attended = self.attention_norm.forward(&projected); // [N, H]
        let fed = self.feed_forward.forward(&attended, mode, after_feed_forward, &attended); // [N, H]
        self.output_norm.forward(&fed) // [N, H]
    }

    pub fn pack(&self) {
        self.attention_output.pack();
        self.feed_forward.pack();
    }
}

/// Attention and what stands behind it.
#[derive(Debug)]
pub(crate) struct Layer {
    pub attention: SelfAttention,
    pub rest: PostNorm,
}

impl Layer {
    /// By BERT's plan under an architecture's names.
    pub fn new(scope: &Scope<'_>, names: &LayerNames, config: &ModelConfig) -> Self {
        let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
        let dropout = config.attention_dropout;
        Layer {
            attention: SelfAttention::new(scope, names.query_key_value, hidden, heads, dropout),
            rest: PostNorm::new(scope, names, config),
        }
    }
}

/// What one layer does: `x` `[T, H]` to the states of `queries`, `[N, H]`.
pub(crate) trait Step: std::fmt::Debug {
    fn forward(&self, x: &Tensor, queries: Queries, pass: &Pass<'_>) -> Tensor;

    /// Lays the weights out for inference.
    fn pack(&self);
}

impl Step for Layer {
    fn forward(&self, x: &Tensor, queries: Queries, pass: &Pass<'_>) -> Tensor {
        let gathered = self.attention.forward(x, queries, pass); // [N, H]
        self.rest.forward(&queries.of(x, pass.packing), &gathered, pass.mode) // [N, H]
    }

    fn pack(&self) {
        self.attention.pack();
        self.rest.pack();
    }
}

/// All layers in turn; the last computes the states of `queries` alone, `[N, H]`.
pub(crate) fn run<'a, L: Step + 'a>(
    layers: impl IntoIterator<Item = &'a L>,
    embedded: Tensor,
    queries: Queries,
    pass: &Pass<'_>,
) -> Tensor {
    let mut layers = layers.into_iter().peekable();
    if layers.peek().is_none() {
        return queries.of(&embedded, pass.packing);
    }
    let mut hidden = embedded; // [T, H]
    while let Some(layer) = layers.next() {
        let wanted = if layers.peek().is_some() { Queries::All } else { queries };
        hidden = layer.forward(&hidden, wanted, pass);
        pass.note_layer(&hidden);
    }
    hidden // [N, H]
}
