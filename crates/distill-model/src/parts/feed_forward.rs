//! The feed-forward part of a layer, plain or gated.
//!
//! Legend: `N` tokens, `H` hidden, `I` intermediate.

use tch::Tensor;

use crate::classifier::Mode;
use crate::config::Activation;
use crate::parts::{Linear, activate};

/// `H → I`, before the activation.
#[derive(Debug)]
pub(crate) enum Inner {
    /// `act(x·W)`, Vaswani et al. 2017.
    Plain(Linear),
    /// `act(x·W) ⊙ x·V`, Shazeer 2020, arXiv:2002.05202: `W`, `V`.
    Gated(Linear, Linear),
    /// The same with `W` above `V` under one name: `[2·I, H]`.
    GatedStacked(Linear),
}

/// `H → I → H`.
#[derive(Debug)]
pub(crate) struct FeedForward {
    pub inner: Inner,
    pub outer: Linear,
    pub activation: Activation,
    /// Between the two.
    pub dropout: f64,
}

impl FeedForward {
    /// `x`, `[N, H]` to `[N, H]`.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Tensor {
        let act = |x: &Tensor| activate(x, self.activation);
        let inner = match &self.inner {
            Inner::Plain(inner) => act(&inner.forward(x)), // [N, I]
            Inner::Gated(inner, gate) => act(&inner.forward(x)) * gate.forward(x), // [N, I]
            Inner::GatedStacked(both) => {
                let halves = both.forward(x).chunk(2, -1); // 2 of [N, I]
                act(&halves[0]) * &halves[1]
            }
        };
        self.outer.forward(&mode.dropout(inner, self.dropout)) // [N, H]
    }
}
