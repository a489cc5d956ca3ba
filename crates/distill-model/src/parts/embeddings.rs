//! The sum of word, position and token type vectors, normed.
//!
//! Legend: `T` tokens in the batch, `E` width of the tables, `H` hidden.

use tch::Tensor;

use crate::config::ModelConfig;
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parameters::Scope;
use crate::parts::{Embedding, LayerNorm, Linear};

/// What differs between the embeddings of BERT's kin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables {
    /// Width of the tables, `E`.
    pub width: i64,
    /// Whether there is a table of positions.
    pub positions: bool,
    /// Name of the layer that widens them before the norm.
    pub projection: Option<&'static str>,
}

impl Tables {
    /// Words, positions and token types, normed as they are.
    pub fn of_width(width: i64) -> Self {
        Tables { width, positions: true, projection: None }
    }
}

/// Embeddings; what an architecture lacks is none.
#[derive(Debug)]
pub(crate) struct Embeddings {
    pub word: Embedding,
    pub position: Option<Embedding>,
    /// Position of a row's first token.
    pub first_position: i64,
    pub token_type: Option<Embedding>,
    /// `E → H` before the norm.
    pub projection: Option<Linear>,
    pub norm: LayerNorm,
    pub dropout: f64,
}

impl Embeddings {
    /// Under BERT's names below `scope`.
    pub fn new(scope: &Scope<'_>, config: &ModelConfig, tables: Tables) -> Self {
        let Tables { width, positions, projection } = tables;
        let normed = if projection.is_some() { config.hidden_size } else { width };
        let table = |name: &str, rows| Embedding::new(&scope.sub(name), rows, width);
        Embeddings {
            word: table("word_embeddings", config.vocab_size),
            position: positions.then(|| table("position_embeddings", config.max_position_embeddings)),
            first_position: config.first_position,
            token_type: (config.type_vocab_size > 0)
                .then(|| table("token_type_embeddings", config.type_vocab_size)),
            projection: projection
                .map(|name| Linear::without_bias(&scope.sub(name), width, config.hidden_size)),
            norm: LayerNorm::new(&scope.sub("LayerNorm"), normed, config.layer_norm_eps),
            dropout: config.hidden_dropout,
        }
    }

    /// BERT's: tables as wide as the hidden states.
    pub fn bert(scope: &Scope<'_>, config: &ModelConfig) -> Self {
        Self::new(scope, config, Tables::of_width(config.hidden_size))
    }

    /// The table of word vectors, `[V, E]`.
    pub fn word_embeddings(&self) -> &Tensor {
        self.word.weight()
    }

    /// `[T, H]`, or `[T, E]` without a projection.
    pub fn forward(&self, inputs: &Inputs, mode: Mode<'_>) -> Tensor {
        let mut sum = self.word.forward(&inputs.input_ids); // [T, E]
        if let Some(token_type) = &self.token_type {
            sum = match token_type.weight().size()[0] {
                // Where all tokens are of one type, tokenizers may number them as they like.
                1 => sum + token_type.weight(),
                _ => sum + token_type.forward(&inputs.token_type_ids),
            };
        }
        if let Some(position) = &self.position {
            sum += match self.first_position {
                0 => position.forward(&inputs.position_ids),
                first => position.forward(&(&inputs.position_ids + first)),
            };
        }
        if let Some(projection) = &self.projection {
            sum = projection.forward(&sum); // [T, H]
        }
        let normed = self.norm.forward(&sum);
        let states = inputs.compute.map_or(normed.shallow_clone(), |compute| normed.to_kind(compute));
        mode.dropout(states, self.dropout)
    }
}
