//! Examples to logits: batches of like length under a token budget, results in the given order.

use distill_core::StopSignal;
use distill_data::batches::{PackedBatch, order_by_length};
use distill_data::cache::Example;
use distill_model::{Inputs, Mode, SequenceClassifier};
use tch::{Device, Kind};

use crate::error::RunnerError;

/// Tokens of a batch where nothing else is asked for: enough to fill the device, little enough to
/// stay in the processor's cache or the GPU's memory.
pub fn default_batch_tokens(device: Device) -> u64 {
    if device.is_cuda() { 32_768 } else { 2_048 }
}

/// A model applied to examples, without gradients and without dropout.
pub struct ForwardPass<'a> {
    /// The model.
    pub model: &'a SequenceClassifier,
    /// Most tokens of a batch; a longer row is a batch of its own.
    pub batch_tokens: u64,
    /// Asked before every batch.
    pub stop: &'a StopSignal,
}

impl ForwardPass<'_> {
    /// Logits of each example, row-major `[N, C]`, in the order given.
    ///
    /// `progress` is told how many rows are done after each batch.
    ///
    /// # Errors
    /// [`RunnerError`] for a token the model does not know, a failure of libtorch, or a stop.
    pub fn logits(
        &self,
        examples: &[Example<'_>],
        mut progress: impl FnMut(u64),
    ) -> Result<Vec<f32>, RunnerError> {
        let num_labels = self.model.config().labels.num_labels();
        let (vocab_size, type_vocab_size) = self.model.config().vocab_sizes();
        let lengths: Vec<u32> = examples.iter().map(|example| example.input_ids.len() as u32).collect();
        let mut logits = vec![0f32; examples.len() * num_labels];
        let mut done = 0;
        for batch in order_by_length(&lengths, self.batch_tokens) {
            self.stop.check()?;
            let members: Vec<Example<'_>> = batch.iter().map(|index| examples[*index as usize]).collect();
            let packed = PackedBatch::new(&members, vocab_size, type_vocab_size)?;
            let values = self.batch_logits(&packed)?;
            for (place, values) in packed.rows.iter().zip(values.chunks_exact(num_labels)) {
                let row = batch[*place as usize] as usize;
                logits[row * num_labels..(row + 1) * num_labels].copy_from_slice(values);
            }
            done += batch.len() as u64;
            progress(done);
        }
        Ok(logits)
    }

    /// Logits of a packed batch, row-major `[B, C]`, in the batch's order.
    fn batch_logits(&self, packed: &PackedBatch) -> Result<Vec<f32>, RunnerError> {
        let inputs = packed_inputs(packed, self.model.device())?;
        let _no_gradients = tch::no_grad_guard();
        let logits = self.model.forward(&inputs, Mode::Evaluate)?.to_kind(Kind::Float).to_device(Device::Cpu);
        let mut values = vec![0f32; logits.numel()];
        logits
            .contiguous()
            .f_copy_data(&mut values, logits.numel())
            .map_err(distill_torch::TorchError::from)?;
        Ok(values)
    }
}

/// A packed batch on the model's device.
///
/// # Errors
/// [`RunnerError`] where the copy fails.
pub fn packed_inputs(packed: &PackedBatch, device: Device) -> Result<Inputs, RunnerError> {
    Ok(Inputs::new(
        &packed.input_ids,
        &packed.token_type_ids,
        &packed.position_ids,
        &packed.cu_seqlens,
        device,
    )?)
}

/// The first row of `[N, C]` logits that is not finite.
pub fn first_not_finite(logits: &[f32], num_labels: usize) -> Option<usize> {
    logits.chunks_exact(num_labels.max(1)).position(|row| row.iter().any(|value| !value.is_finite()))
}

/// Index of the largest logit, the lowest of equal ones, as numpy's argmax.
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in logits.iter().enumerate() {
        if *value > logits[best] {
            best = index;
        }
    }
    best
}
