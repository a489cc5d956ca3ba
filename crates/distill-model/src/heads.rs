//! What turns hidden states into logits, one file for each kind of prediction.
//!
//! Legend: `N` positions, `H` hidden, `C` outputs.

pub mod masked;
pub(crate) mod sequence;
pub(crate) mod span;
pub(crate) mod token;

use tch::Tensor;

use crate::heads::masked::MaskedHead;
use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::pass::Tokens;

/// What a model predicts from its backbone's states.
pub trait Head: std::fmt::Debug {
    /// The tokens whose states it reads.
    fn wanted<'a>(&self, inputs: &'a Inputs) -> Tokens<'a>;

    /// Logits from the states of these tokens: `[N, H]` to `[N, C]`. A failure of libtorch panics, as its operators do;
    /// [`crate::Model`] returns it as an error.
    fn logits(&self, states: &Tensor, mode: Mode<'_>) -> Tensor;

    /// Prepares the weights for inference, where that pays.
    fn pack(&self) {}

    /// The head of a masked language model, which can also compute a part of its vocabulary.
    fn as_masked(&self) -> Option<&MaskedHead> {
        None
    }
}

/// Tokens that [`Inputs::positions`] names, or all.
fn named_or_all(inputs: &Inputs) -> Tokens<'_> {
    inputs.positions.as_ref().map_or(Tokens::All, Tokens::Positions)
}
