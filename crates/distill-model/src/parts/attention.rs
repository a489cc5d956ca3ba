//! Self-attention: projections to queries, keys and values, and what one pass over a batch gives to all layers.
//!
//! Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.
//!
//! Legend: `T` tokens, `N` tokens asked for, `B` rows, `S` longest row, `H` hidden, `h` heads, `d` size of a head.

use distill_torch::Packing;
use distill_torch::attention::{Scores, attend, attend_from_one};
use tch::Tensor;

use crate::classifier::Mode;
use crate::inputs::Inputs;
use crate::parameters::Scope;
use crate::parts::Linear;
use crate::parts::positions::{Rotary, Window};
use crate::recorder::Recorder;

/// The tokens whose states a layer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// Every token, `[T, ..]`.
    All,
    /// Each row's first, `[B, ..]`: all that a head on `[CLS]` reads of the last layer.
    First,
}

impl Tokens {
    /// These tokens of `x`: `[T, ..]` to `[N, ..]`.
    pub fn of(self, x: &Tensor, packing: &Packing) -> Tensor {
        match self {
            Tokens::All => x.shallow_clone(),
            Tokens::First => x.index_select(0, packing.first_tokens()),
        }
    }
}

/// One pass over a batch.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    pub packing: &'a Packing,
    pub mode: Mode<'a>,
    /// Added to all scores: `[1, h or 1, S, S]` for the longest row of the batch.
    pub bias: Option<Tensor>,
    /// How far a token sees, where that is not its whole row; there is no bias beside it.
    pub window: Option<Window>,
    /// Turns queries and keys by their positions.
    pub rotary: Option<Rotary>,
    /// Keeps what happens inside, where a loss asks for it.
    pub recorder: Option<&'a Recorder>,
}

impl<'a> Pass<'a> {
    /// A pass that adds nothing and turns nothing.
    pub fn new(inputs: &'a Inputs, mode: Mode<'a>, recorder: Option<&'a Recorder>) -> Self {
        Pass { packing: &inputs.packing, mode, bias: None, window: None, rotary: None, recorder }
    }

    /// The same pass, which adds nothing and turns nothing.
    pub fn plain(&self) -> Self {
        Pass { bias: None, window: None, rotary: None, ..*self }
    }

    /// Tells the recorder of a layer's states, `[N, H]`.
    pub fn note_layer(&self, states: &Tensor) {
        if let Some(recorder) = self.recorder {
            recorder.layer(states);
        }
    }

    /// Tells the recorder what a layer's attention computes with.
    pub fn note_attention(&self, qkv: &[Tensor; 3], bias: Option<&Tensor>) {
        if let Some(recorder) = self.recorder {
            recorder.attention(qkv, bias);
        }
    }

    /// Attention by queries `[N, h, d]` of `tokens` over keys and values `[T, h, d]`; returns `[N, H]`.
    /// Queries and keys are turned and scores biased as this pass says.
    pub fn attend(&self, qkv: [Tensor; 3], tokens: Tokens, dropout: f64) -> Tensor {
        let [query, key, value] = qkv;
        let (query, key) = match (&self.rotary, tokens) {
            (None, _) => (query, key),
            (Some(rotary), Tokens::All) => (rotary.turn(&query), rotary.turn(&key)),
            // A first token is at position 0, where nothing turns.
            (Some(rotary), Tokens::First) => (query, rotary.turn(&key)),
        };
        let qkv = [query, key, value];
        let part = |whole: &Tensor, query: &Tensor, key: &Tensor| {
            whole.narrow(2, 0, query.size()[2]).narrow(3, 0, key.size()[2]) // [1, h or 1, Sq, S]
        };
        if self.recorder.is_some() {
            self.note_attention(&qkv, self.window.as_ref().map(Window::hidden).or(self.bias.as_ref()));
        }
        match (&self.window, &self.bias) {
            (Some(window), _) => {
                let hidden = |query: &Tensor, key: &Tensor| part(window.hidden(), query, key);
                self.attend_scored(
                    qkv,
                    tokens,
                    dropout,
                    Scores::Within { reach: window.reach, hidden: &hidden },
                )
            }
            (None, Some(whole)) => {
                let bias = |query: &Tensor, key: &Tensor| part(whole, query, key);
                self.attend_scored(qkv, tokens, dropout, Scores::Biased(&bias))
            }
            (None, None) => self.attend_scored(qkv, tokens, dropout, Scores::Plain),
        }
    }

    /// As [`Pass::attend`] with scores of the architecture's own, and no turning.
    pub fn attend_scored(
        &self,
        [query, key, value]: [Tensor; 3],
        tokens: Tokens,
        dropout: f64,
        scores: Scores<'_>,
    ) -> Tensor {
        let dropped = self.mode.dropped(dropout);
        match tokens {
            Tokens::All => attend(&query, &key, &value, self.packing, dropped, scores), // [T, H]
            Tokens::First => attend_from_one(&query, &key, &value, self.packing, dropped, scores), // [B, H]
        }
    }
}

/// `[N, H]` to `[N, h, d]`.
pub(crate) fn by_head(x: &Tensor, heads: i64) -> Tensor {
    let (tokens, hidden) = (x.size()[0], x.size()[1]);
    x.view([tokens, heads, hidden / heads]) // [N, h, d]
}

/// Queries, keys and values by three projections; the one on the output is the layer's.
#[derive(Debug)]
pub(crate) struct SelfAttention {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    heads: i64,
    dropout: f64,
}

impl SelfAttention {
    /// Projections of `hidden` under three names below `scope`.
    pub fn new(scope: &Scope<'_>, names: [&str; 3], hidden: i64, heads: i64, dropout: f64) -> Self {
        let [query, key, value] = names.map(|name| Linear::new(&scope.sub(name), hidden, hidden));
        SelfAttention { query, key, value, heads, dropout }
    }

    /// What `tokens` gather from their rows: `x` `[T, H]`, returns `[N, H]`.
    pub fn forward(&self, x: &Tensor, tokens: Tokens, pass: &Pass<'_>) -> Tensor {
        pass.attend(self.query_key_value(x, tokens, pass), tokens, self.dropout)
    }

    pub fn pack(&self) {
        [&self.query, &self.key, &self.value].into_iter().for_each(Linear::pack);
    }

    /// Queries `[N, h, d]`, keys and values `[T, h, d]`.
    pub fn query_key_value(&self, x: &Tensor, tokens: Tokens, pass: &Pass<'_>) -> [Tensor; 3] {
        let asking = tokens.of(x, pass.packing); // [N, H]
        [(&self.query, &asking), (&self.key, x), (&self.value, x)]
            .map(|(part, x)| by_head(&part.forward(x), self.heads))
    }
}

/// Queries, keys and values by one projection.
#[derive(Debug)]
pub(crate) struct StackedAttention {
    pub query_key_value: Linear,
    pub heads: i64,
    pub dropout: f64,
}

impl StackedAttention {
    /// What `tokens` gather from their rows: `x` `[T, H]`, returns `[N, H]`.
    pub fn forward(&self, x: &Tensor, tokens: Tokens, pass: &Pass<'_>) -> Tensor {
        let parts = match tokens {
            Tokens::All => self.query_key_value.forward(x).chunk(3, -1), // 3 of [T, H]
            Tokens::First => {
                let first = tokens.of(x, pass.packing); // [B, H]
                let [query, others] = self.query_key_value.forward_apart(x.size()[1], &first, x);
                std::iter::once(query).chain(others.chunk(2, -1)).collect() // [B, H], 2 of [T, H]
            }
        };
        let [query, key, value] = [&parts[0], &parts[1], &parts[2]].map(|part| by_head(part, self.heads));
        pass.attend([query, key, value], tokens, self.dropout)
    }
}
