//! What turns tokens into hidden states.
//!
//! Legend: `T` tokens in the batch, `B` rows, `N` positions asked for, `V` vocabulary, `E` width of the word vectors,
//! `H` hidden.

use tch::Tensor;

use crate::inputs::Inputs;
use crate::mode::Mode;
use crate::pass::{Pass, Queries, Tokens};
use crate::recorder::Recorder;

/// Embeddings and layers of an architecture, without a head.
pub trait Backbone: std::fmt::Debug {
    /// The table of word vectors, `[V, E]`.
    fn word_embeddings(&self) -> &Tensor;

    /// Prepares the layers' weights for inference.
    fn pack(&self);

    /// Hidden states after the last layer: of every token, `[T, H]`, or of each row's first, `[B, H]`.
    fn compute(&self, inputs: &Inputs, queries: Queries, pass: Pass<'_>) -> Tensor;

    /// Hidden states after the last layer for the tokens wanted, `[N, H]`. `recorder` keeps what happens inside. A
    /// failure of libtorch panics, as its operators do; [`crate::Model`] returns it as an error.
    fn states(
        &self,
        inputs: &Inputs,
        tokens: Tokens<'_>,
        mode: Mode<'_>,
        recorder: Option<&Recorder>,
    ) -> Tensor {
        let queries = tokens.queries(recorder.is_some());
        let states = self.compute(inputs, queries, Pass::new(inputs, mode, recorder));
        tokens.of(states, queries, &inputs.packing)
    }
}
