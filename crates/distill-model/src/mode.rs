//! Whether a pass belongs to training, and so whether dropout is drawn.

use distill_torch::Dropout;
use distill_torch::attention::Dropped;
use tch::Tensor;

/// Whether a forward pass belongs to training.
#[derive(Clone, Copy, Debug)]
pub enum Mode<'a> {
    /// Dropout is active, with masks from here.
    Train(&'a Dropout),
    /// The same input gives the same logits.
    Evaluate,
}

impl<'a> Mode<'a> {
    /// `x`, in training with dropout at `probability`.
    pub(crate) fn dropout(self, x: Tensor, probability: f64) -> Tensor {
        match self {
            Mode::Train(dropout) if probability > 0.0 => dropout.apply(&x, probability),
            _ => x,
        }
    }

    /// The dropout of attention weights at `probability`.
    pub(crate) fn dropped(self, probability: f64) -> Dropped<'a> {
        match self {
            Mode::Train(dropout) if probability > 0.0 => Some((dropout, probability)),
            _ => None,
        }
    }
}
