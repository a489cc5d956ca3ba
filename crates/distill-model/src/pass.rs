//! One pass over a batch: which tokens are wanted, and what all layers share.
//!
//! Legend: `T` tokens, `N` tokens asked for, `B` rows, `S` longest row, `H` hidden, `h` heads, `d` size of a head.

use distill_torch::attention::{Scores, attend, attend_from_one};
use distill_torch::{Packing, copied_to, or_panic};
use tch::{Kind, Tensor};

use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::parts::positions::{Rotary, Window};
use crate::recorder::Recorder;

/// The tokens whose states are wanted from a backbone.
#[derive(Clone, Copy, Debug)]
pub enum Tokens<'a> {
    /// Each row's first, where `[CLS]` is: `[B, H]`.
    First,
    /// The mean of each row's tokens: `[B, H]`.
    Mean,
    /// Those at these places of the batch, int64 `[N]` into its `T` tokens: `[N, H]`.
    Positions(&'a Tensor),
    /// Every token: `[T, H]`.
    All,
}

impl Tokens<'_> {
    /// What the last layer computes for them; all where a recorder wants to see it.
    pub(crate) fn queries(self, recorded: bool) -> Queries {
        match self {
            Tokens::First if !recorded => Queries::First,
            _ => Queries::All,
        }
    }

    /// These, of the states that the last layer computed for `queries`: `[N, H]`.
    pub(crate) fn of(self, states: Tensor, queries: Queries, packing: &Packing) -> Tensor {
        match (self, queries) {
            (Tokens::All, _) | (Tokens::First, Queries::First) => states,
            (Tokens::First, Queries::All) => Queries::First.of(&states, packing),
            (Tokens::Mean, _) => mean_by_row(&states, packing),
            (Tokens::Positions(places), _) => states.index_select(0, places),
        }
    }
}

/// The tokens that a layer computes states for; attention sees all tokens either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queries {
    /// Every token, `[T, ..]`.
    All,
    /// Each row's first, `[B, ..]`: all that a head on `[CLS]` reads of the last layer.
    First,
}

impl Queries {
    /// These tokens of `x`: `[T, ..]` to `[N, ..]`.
    pub(crate) fn of(self, x: &Tensor, packing: &Packing) -> Tensor {
        match self {
            Queries::All => x.shallow_clone(),
            Queries::First => x.index_select(0, packing.first_tokens()),
        }
    }
}

/// The mean over each row's tokens: `[T, H]` to `[B, H]`.
fn mean_by_row(hidden: &Tensor, packing: &Packing) -> Tensor {
    let lengths = or_panic(copied_to(packing.lengths(), hidden.device()));
    // Computed in f32: the kernel has no bf16 on every device, and a mean of many tokens would lose digits.
    let sums = hidden.to_kind(Kind::Float); // [T, H]
    // Unchecked: the lengths are the packing's, and to look whether they add up would wait for the device.
    let means = Tensor::segment_reduce::<Tensor, f64>(&sums, "mean", Some(lengths), None, None, 0, true, 0.0);
    means.to_kind(hidden.kind()) // [B, H]
}

/// One pass over a batch.
#[derive(Debug)]
pub struct Pass<'a> {
    pub(crate) packing: &'a Packing,
    pub(crate) mode: Mode<'a>,
    /// Added to all scores: `[1, h or 1, S, S]` for the longest row of the batch.
    pub(crate) bias: Option<Tensor>,
    /// How far a token sees, where that is not its whole row; then there is no bias.
    pub(crate) window: Option<Window>,
    /// Rotates queries and keys by their positions.
    pub(crate) rotary: Option<Rotary>,
    /// Keeps what happens inside, where a loss asks for it.
    pub(crate) recorder: Option<&'a Recorder>,
}

impl<'a> Pass<'a> {
    /// A pass without bias, window and rotary positions.
    pub(crate) fn new(inputs: &'a Inputs, mode: Mode<'a>, recorder: Option<&'a Recorder>) -> Self {
        Pass { packing: &inputs.packing, mode, bias: None, window: None, rotary: None, recorder }
    }

    /// The same pass without bias, window and rotary positions.
    pub(crate) fn plain(&self) -> Self {
        Pass { bias: None, window: None, rotary: None, ..*self }
    }

    /// Tells the recorder of a layer's states, `[N, H]`.
    pub(crate) fn note_layer(&self, states: &Tensor) {
        if let Some(recorder) = self.recorder {
            recorder.layer(states);
        }
    }

    /// Tells the recorder what a layer's attention computes with.
    pub(crate) fn note_attention(&self, qkv: &[Tensor; 3], bias: Option<&Tensor>) {
        if let Some(recorder) = self.recorder {
            recorder.attention(qkv, bias);
        }
    }

    /// Attention by queries `[N, h, d]` of `queries` over keys and values `[T, h, d]`; returns `[N, H]`.
    /// Rotates queries and keys and biases scores as this pass says.
    pub(crate) fn attend(&self, qkv: [Tensor; 3], queries: Queries, dropout: f64) -> Tensor {
        let [query, key, value] = qkv;
        let (query, key) = match (&self.rotary, queries) {
            (None, _) => (query, key),
            (Some(rotary), Queries::All) => (rotary.apply_rotary(&query), rotary.apply_rotary(&key)),
            // A first token is at position 0, where the rotation is the identity.
            (Some(rotary), Queries::First) => (query, rotary.apply_rotary(&key)),
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
                    queries,
                    dropout,
                    Scores::Within { reach: window.reach, hidden: &hidden },
                )
            }
            (None, Some(whole)) => {
                let bias = |query: &Tensor, key: &Tensor| part(whole, query, key);
                self.attend_scored(qkv, queries, dropout, Scores::Biased(&bias))
            }
            (None, None) => self.attend_scored(qkv, queries, dropout, Scores::Plain),
        }
    }

    /// As [`Pass::attend`] with scores of the architecture's own, without rotation.
    pub(crate) fn attend_scored(
        &self,
        [query, key, value]: [Tensor; 3],
        queries: Queries,
        dropout: f64,
        scores: Scores<'_>,
    ) -> Tensor {
        let dropped = self.mode.dropped(dropout);
        match queries {
            Queries::All => attend(&query, &key, &value, self.packing, dropped, scores), // [T, H]
            Queries::First => attend_from_one(&query, &key, &value, self.packing, dropped, scores), // [B, H]
        }
    }
}
