//! Examples to logits: batches of like length under a token budget, results in the given order.

use distill_core::StopSignal;
use distill_data::batches::{PackedBatch, order_by_length};
use distill_data::cache::Example;
use distill_model::{Inputs, Mode, SequenceClassifier};
use distill_torch::TorchError;
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

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
    /// `progress` is told which examples are done after each batch.
    ///
    /// # Errors
    /// [`RunnerError`] for a token the model does not know, a failure of libtorch, or a stop.
    pub fn logits(
        &self,
        examples: &[Example<'_>],
        mut progress: impl FnMut(&[u32]),
    ) -> Result<Vec<f32>, RunnerError> {
        let lengths: Vec<u32> = examples.iter().map(|example| example.input_ids.len() as u32).collect();
        let mut logits = vec![0f32; examples.len() * self.model.config().labels.num_labels()];
        // Read back one batch late: a device works on the next batch meanwhile.
        let mut on_device: Option<Computed> = None;
        for batch in order_by_length(&lengths, self.batch_tokens) {
            self.stop.check()?;
            let computed = self.launch(examples, batch)?;
            if let Some(before) = on_device.replace(computed) {
                before.read_into(&mut logits)?;
                progress(&before.examples);
            }
        }
        if let Some(last) = on_device {
            last.read_into(&mut logits)?;
            progress(&last.examples);
        }
        Ok(logits)
    }

    /// Starts a batch of `examples`.
    fn launch(&self, examples: &[Example<'_>], batch: Vec<u32>) -> Result<Computed, RunnerError> {
        let (vocab_size, type_vocab_size) = self.model.config().vocab_sizes();
        let members: Vec<Example<'_>> = batch.iter().map(|index| examples[*index as usize]).collect();
        let packing = trace_span!(target: "timeline", "pack").entered();
        let mut packed = PackedBatch::new(&members, vocab_size, type_vocab_size)?;
        if let Some(token) = self.model.config().uncounted_token() {
            packed.uncount(token);
        }
        let inputs = packed_inputs(&packed, self.model)?;
        drop(packing);
        let _span = trace_span!(target: "timeline", "forward").entered();
        let _no_gradients = tch::no_grad_guard();
        let logits = self.model.forward(&inputs, Mode::Evaluate)?.to_kind(Kind::Float);
        let examples = packed.rows.iter().map(|place| batch[*place as usize]).collect();
        Ok(Computed { examples, logits })
    }
}

/// A batch that the device has, or is at work on.
struct Computed {
    /// Its examples, in the order of the rows of `logits`.
    examples: Vec<u32>,
    /// `[B, C]`
    logits: Tensor,
}

impl Computed {
    /// Waits for the logits and puts each row where it belongs in `[N, C]`.
    fn read_into(&self, logits: &mut [f32]) -> Result<(), RunnerError> {
        let on_host = self.logits.to_device(Device::Cpu).contiguous();
        let mut values = vec![0f32; on_host.numel()];
        on_host.f_copy_data(&mut values, on_host.numel()).map_err(TorchError::from)?;
        let num_labels = values.len() / self.examples.len().max(1);
        for (example, values) in self.examples.iter().zip(values.chunks_exact(num_labels.max(1))) {
            let start = *example as usize * num_labels;
            logits[start..start + num_labels].copy_from_slice(values);
        }
        Ok(())
    }
}

/// A packed batch on the model's device, to be computed in what the model computes in.
///
/// # Errors
/// [`RunnerError`] where the copy fails.
pub fn packed_inputs(packed: &PackedBatch, model: &SequenceClassifier) -> Result<Inputs, RunnerError> {
    let inputs = Inputs::new(
        &packed.input_ids,
        &packed.token_type_ids,
        &packed.position_ids,
        &packed.cu_seqlens,
        model.device(),
    )?;
    Ok(inputs.computed_in(model.compute_kind()))
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
