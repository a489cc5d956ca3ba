//! The feed-forward part of a layer, plain or gated.
//!
//! Legend: `N` tokens, `H` hidden, `I` intermediate.

use tch::Tensor;

use crate::config::Activation;
use crate::mode::Mode;
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
    /// `dropout(x → H) + residual`, all `[N, H]`.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>, dropout: f64, residual: &Tensor) -> Tensor {
        let inner = match &self.inner {
            Inner::Plain(inner) => inner.forward_activated(x, self.activation), // [N, I]
            Inner::Gated(inner, gate) => inner.forward_activated(x, self.activation) * gate.forward(x), // [N, I]
            Inner::GatedStacked(both) => {
                let halves = both.forward(x).chunk(2, -1); // 2 of [N, I]
                activate(&halves[0], self.activation) * &halves[1]
            }
        };
        self.outer.forward_residual(&mode.dropout(inner, self.dropout), mode, dropout, residual) // [N, H]
    }

    pub fn pack(&self) {
        match &self.inner {
            Inner::Plain(inner) | Inner::GatedStacked(inner) => inner.pack(),
            Inner::Gated(inner, gate) => [inner, gate].into_iter().for_each(Linear::pack),
        }
        self.outer.pack();
    }
}
