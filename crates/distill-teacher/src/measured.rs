//! A pass of which only figures are kept: where each prediction has a logit for every token of a vocabulary, the logits of all
//! rows are more than the memory holds.

use std::cell::Cell;

use distill_data::cache::Example;
use tch::Tensor;

use crate::error::RunnerError;
use crate::forward::{ForwardPass, in_batches};

impl ForwardPass<'_> {
    /// What `measure` makes of each batch: it gets the batch's logits, f32 `[N, C]` on the model's device, and the numbers of
    /// its examples in the order in which their predictions follow one another.
    ///
    /// # Errors
    /// As [`ForwardPass::logits`], and those of `measure`.
    pub fn measured<M>(
        &self,
        examples: &[Example<'_>],
        measure: impl Fn(&Tensor, &[u32]) -> Result<M, RunnerError>,
    ) -> Result<Vec<M>, RunnerError> {
        let lengths: Vec<u32> = examples.iter().map(|example| example.input_ids.len() as u32).collect();
        let mut found = Vec::new();
        in_batches(
            &lengths,
            &Cell::new(self.batch_tokens),
            |batch| {
                self.stop.check()?;
                let (logits, members) = self.batch(examples, batch)?;
                let _no_gradients = tch::no_grad_guard();
                measure(&logits, &members)
            },
            |measured| {
                found.push(measured);
                Ok(())
            },
        )?;
        Ok(found)
    }
}
