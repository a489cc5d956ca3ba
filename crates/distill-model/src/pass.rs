//! One pass over a batch: which tokens are wanted, and what all layers share.
//!
//! Legend: `T` tokens, `N` tokens asked for, `B` rows, `S` longest row, `H` hidden, `h` heads, `d` size of a head.

use distill_torch::Packing;
use distill_torch::attention::{Scores, attend, attend_from_one};
use tch::Tensor;

use crate::inputs::Inputs;
use crate::mode::Mode;
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
    /// How far a token sees, where that is not its whole row; then there is no bias.
    pub window: Option<Window>,
    /// Rotates queries and keys by their positions.
    pub rotary: Option<Rotary>,
    /// Keeps what happens inside, where a loss asks for it.
    pub recorder: Option<&'a Recorder>,
}

impl<'a> Pass<'a> {
    /// A pass without bias, window and rotary positions.
    pub fn new(inputs: &'a Inputs, mode: Mode<'a>, recorder: Option<&'a Recorder>) -> Self {
        Pass { packing: &inputs.packing, mode, bias: None, window: None, rotary: None, recorder }
    }

    /// The same pass without bias, window and rotary positions.
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
    /// Rotates queries and keys and biases scores as this pass says.
    pub fn attend(&self, qkv: [Tensor; 3], tokens: Tokens, dropout: f64) -> Tensor {
        let [query, key, value] = qkv;
        let (query, key) = match (&self.rotary, tokens) {
            (None, _) => (query, key),
            (Some(rotary), Tokens::All) => (rotary.apply_rotary(&query), rotary.apply_rotary(&key)),
            // A first token is at position 0, where the rotation is the identity.
            (Some(rotary), Tokens::First) => (query, rotary.apply_rotary(&key)),
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

    /// As [`Pass::attend`] with scores of the architecture's own, without rotation.
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
