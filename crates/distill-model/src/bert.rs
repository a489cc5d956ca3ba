//! BERT: learned positions, LayerNorm after each part, GELU.
//!
//! Source: Devlin et al. 2019, arXiv:1810.04805, section 3; weight names are those of
//! `transformers`' `BertModel`.
//!
//! Legend: `T` tokens in the batch, `B` rows, `H` hidden, `h` heads, `d = H/h`, `I` intermediate.

use distill_torch::Packing;
use distill_torch::attention::{attend, attend_from_one};
use tch::Tensor;

use crate::classifier::Mode;
use crate::config::{Activation, ModelConfig};
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::{Embedding, LayerNorm, Linear};

/// The encoder, `bert.*` without the pooler.
#[derive(Debug)]
pub struct BertEncoder {
    embeddings: Embeddings,
    layers: Vec<Layer>,
}

impl BertEncoder {
    /// Takes the parameters below `scope` (`bert.`).
    pub fn new(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        let layers = scope.sub("encoder").sub("layer");
        BertEncoder {
            embeddings: Embeddings::new(&scope.sub("embeddings"), config),
            layers: (0..config.num_hidden_layers).map(|index| Layer::new(&layers.sub(index), config)).collect(),
        }
    }

    /// Lays every weight out for inference.
    pub fn pack(&self) {
        self.layers.iter().for_each(Layer::pack);
    }

    /// The table of word vectors, `[V, H]`.
    pub fn word_embeddings(&self) -> &Tensor {
        self.embeddings.word_embeddings.weight()
    }

    /// Hidden states of each row's first token after the last layer, `[B, H]`.
    ///
    /// The last layer computes queries, output projection and feed-forward for those tokens
    /// alone: nothing else of it is ever read.
    pub fn first_token_states(&self, inputs: &Inputs, mode: Mode<'_>) -> Tensor {
        let Some((last, before)) = self.layers.split_last() else {
            return self.embeddings.forward(inputs, mode).index_select(0, inputs.packing.first_tokens());
        };
        let embedded = self.embeddings.forward(inputs, mode); // [T, H]
        let hidden = before.iter().fold(embedded, |x, layer| layer.forward(&x, &inputs.packing, mode)); // [T, H]
        last.forward_first_tokens(&hidden, &inputs.packing, mode) // [B, H]
    }

    /// Hidden states of every token after the last layer, `[T, H]`.
    pub fn hidden_states(&self, inputs: &Inputs, mode: Mode<'_>) -> Tensor {
        let embedded = self.embeddings.forward(inputs, mode); // [T, H]
        self.layers.iter().fold(embedded, |x, layer| layer.forward(&x, &inputs.packing, mode)) // [T, H]
    }
}

/// Sum of word, position and token type vectors, normed.
#[derive(Debug)]
struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    norm: LayerNorm,
    dropout: f64,
}

impl Embeddings {
    fn new(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        let table = |name: &str, rows| Embedding::new(&scope.sub(name), rows, config.hidden_size);
        Embeddings {
            word_embeddings: table("word_embeddings", config.vocab_size),
            position_embeddings: table("position_embeddings", config.max_position_embeddings),
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size),
            norm: LayerNorm::new(&scope.sub("LayerNorm"), config.hidden_size, config.layer_norm_eps),
            dropout: config.hidden_dropout,
        }
    }

    fn forward(&self, inputs: &Inputs, mode: Mode<'_>) -> Tensor {
        let sum = self.word_embeddings.forward(&inputs.input_ids)
            + self.token_type_embeddings.forward(&inputs.token_type_ids)
            + self.position_embeddings.forward(&inputs.position_ids); // [T, H]
        mode.dropout(self.norm.forward(&sum), self.dropout)
    }
}

/// Attention and feed-forward, each with a residual and a norm behind it.
#[derive(Debug)]
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    attention_norm: LayerNorm,
    intermediate: Linear,
    output: Linear,
    output_norm: LayerNorm,
    heads: i64,
    activation: Activation,
    hidden_dropout: f64,
    attention_dropout: f64,
}

impl Layer {
    fn new(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        let (hidden, intermediate, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let attention = scope.sub("attention");
        let own = attention.sub("self");
        let attention_output = attention.sub("output");
        let output = scope.sub("output");
        Layer {
            query: Linear::new(&own.sub("query"), hidden, hidden),
            key: Linear::new(&own.sub("key"), hidden, hidden),
            value: Linear::new(&own.sub("value"), hidden, hidden),
            attention_output: Linear::new(&attention_output.sub("dense"), hidden, hidden),
            attention_norm: LayerNorm::new(&attention_output.sub("LayerNorm"), hidden, eps),
            intermediate: Linear::new(&scope.sub("intermediate").sub("dense"), hidden, intermediate),
            output: Linear::new(&output.sub("dense"), intermediate, hidden),
            output_norm: LayerNorm::new(&output.sub("LayerNorm"), hidden, eps),
            heads: config.num_attention_heads,
            activation: config.activation,
            hidden_dropout: config.hidden_dropout,
            attention_dropout: config.attention_dropout,
        }
    }

    fn pack(&self) {
        let attention = [&self.query, &self.key, &self.value, &self.attention_output];
        attention.into_iter().chain([&self.intermediate, &self.output]).for_each(Linear::pack);
    }

    fn forward(&self, x: &Tensor, packing: &Packing, mode: Mode<'_>) -> Tensor {
        let [q, k, v] = [&self.query, &self.key, &self.value].map(|part| self.by_head(&part.forward(x))); // [T, h, d]
        let context = attend(&q, &k, &v, packing, mode.dropped(self.attention_dropout)); // [T, H]
        self.after_attention(x, &context, mode)
    }

    fn forward_first_tokens(&self, x: &Tensor, packing: &Packing, mode: Mode<'_>) -> Tensor {
        let first = x.index_select(0, packing.first_tokens()); // [B, H]
        let q = self.by_head(&self.query.forward(&first)); // [B, h, d]
        let [k, v] = [&self.key, &self.value].map(|part| self.by_head(&part.forward(x))); // [T, h, d]
        let context = attend_from_one(&q, &k, &v, packing, mode.dropped(self.attention_dropout)); // [B, H]
        self.after_attention(&first, &context, mode)
    }

    /// Output projection and feed-forward; `x` and `context`: `[N, H]` for any number of tokens.
    fn after_attention(&self, x: &Tensor, context: &Tensor, mode: Mode<'_>) -> Tensor {
        let projected = mode.residual(&self.attention_output, context, self.hidden_dropout, x); // [N, H]
        let attended = self.attention_norm.forward(&projected); // [N, H]
        let inner = self.intermediate.forward_activated(&attended, self.activation); // [N, I]
        let outer = mode.residual(&self.output, &inner, self.hidden_dropout, &attended); // [N, H]
        self.output_norm.forward(&outer) // [N, H]
    }

    fn by_head(&self, x: &Tensor) -> Tensor {
        let (tokens, hidden) = (x.size()[0], x.size()[1]);
        x.view([tokens, self.heads, hidden / self.heads]) // [N, h, d]
    }
}
