//! Examples to logits: batches of like length under a token budget, results in the given order.

use std::cell::Cell;
use std::collections::VecDeque;

use distill_core::StopSignal;
use distill_data::batches::{PackedBatch, order_by_length};
use distill_data::cache::Example;
use distill_model::{HeadKind, Inputs, Mode, Model, ModelConfig};
use distill_torch::{ReadBack, TorchError};
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

use crate::error::RunnerError;

/// Tokens of a batch where nothing else is asked for: enough to fill the device, little enough to
/// stay in the processor's cache or the GPU's memory.
pub fn default_batch_tokens(device: Device) -> u64 {
    if device.is_cuda() { 32_768 } else { 2_048 }
}

/// On the CPU batches have a multiple of so many tokens: oneDNN makes its kernels anew for every number that it has not
/// met lately, on one thread, while the others wait.
const SIZE_STEP: usize = 32;
/// Below this number of tokens that would cost more than it saves.
const FILLED_UP_FROM: usize = 1_024;

/// A model applied to examples, without gradients and without dropout.
pub struct ForwardPass<'a> {
    /// The model.
    pub model: &'a Model,
    /// Most tokens of a batch; a longer row is a batch by itself.
    pub batch_tokens: u64,
    /// Asked before every batch.
    pub stop: &'a StopSignal,
}

impl ForwardPass<'_> {
    /// Logits of each example, row-major `[N, C]`, in the order given; of an example with positions, of each of them in
    /// turn.
    ///
    /// `progress` gets the number of finished examples after each batch.
    ///
    /// # Errors
    /// [`RunnerError`] for a token the model does not know, a failure of libtorch, or a stop.
    pub fn logits(
        &self,
        examples: &[Example<'_>],
        progress: impl FnMut(&[u32]),
    ) -> Result<Vec<f32>, RunnerError> {
        self.logits_within(&Cell::new(self.batch_tokens), examples, progress)
    }

    /// As [`ForwardPass::logits`], with a budget that is halved for good whenever the device's memory does not
    /// suffice for a batch.
    ///
    /// # Errors
    /// As [`ForwardPass::logits`]; [`TorchError::OutOfMemory`] where a single row is too much.
    pub fn logits_within(
        &self,
        budget: &Cell<u64>,
        examples: &[Example<'_>],
        mut progress: impl FnMut(&[u32]),
    ) -> Result<Vec<f32>, RunnerError> {
        let lengths: Vec<u32> = examples.iter().map(|example| example.input_ids.len() as u32).collect();
        let places = Places::of(examples, self.model.config());
        let mut logits = vec![0f32; places.values()];
        in_batches(
            &lengths,
            budget,
            |batch| {
                self.stop.check()?;
                self.launch(examples, batch)
            },
            |computed| {
                computed.read_into(&places, &mut logits)?;
                progress(&computed.examples);
                Ok(())
            },
        )?;
        Ok(logits)
    }

    /// Starts a batch of `examples`, and queues the copy of its logits.
    fn launch(&self, examples: &[Example<'_>], batch: &[u32]) -> Result<Computed, RunnerError> {
        let (logits, examples) = self.batch(examples, batch)?;
        Ok(Computed { examples, logits: ReadBack::of(&logits)? })
    }

    /// Starts a batch of `examples`: f32 `[N, C]`, and the numbers of its examples in that order.
    pub(crate) fn batch(
        &self,
        examples: &[Example<'_>],
        batch: &[u32],
    ) -> Result<(Tensor, Vec<u32>), RunnerError> {
        let members: Vec<Example<'_>> = batch.iter().map(|index| examples[*index as usize]).collect();
        let packing = trace_span!(target: "timeline", "pack").entered();
        let mut packed = packed(self.model.config(), &members)?;
        if self.model.device() == Device::Cpu && packed.input_ids.len() >= FILLED_UP_FROM {
            packed.fill_up(SIZE_STEP);
        }
        let inputs = packed_inputs(&packed, self.model)?;
        drop(packing);
        let _span = trace_span!(target: "timeline", "forward").entered();
        let _no_gradients = tch::no_grad_guard();
        let logits = self.model.forward(&inputs, Mode::Evaluate)?;
        let logits = logits.f_to_kind(Kind::Float).map_err(TorchError::from)?;
        let members = packed.rows.iter().map(|place| batch[*place as usize]).collect();
        Ok((logits, members))
    }
}

/// Hands batches of rows of these lengths to `launch`, and what it makes of each to `read`, one batch late: a
/// device works on the next batch meanwhile, if `launch` has queued the copy to the host too ([`ReadBack`]). Where memory runs out, the budget is halved and the rows that are
/// not done yet are cut anew.
pub(crate) fn in_batches<T>(
    lengths: &[u32],
    budget: &Cell<u64>,
    mut launch: impl FnMut(&[u32]) -> Result<T, RunnerError>,
    mut read: impl FnMut(T) -> Result<(), RunnerError>,
) -> Result<(), RunnerError> {
    let mut left: Vec<u32> = (0..lengths.len() as u32).collect();
    while !left.is_empty() {
        let their_lengths: Vec<u32> = left.iter().map(|row| lengths[*row as usize]).collect();
        let batches = order_by_length(&their_lengths, budget.get()).into_iter();
        let mut batches: VecDeque<Vec<u32>> =
            batches.map(|batch| batch.into_iter().map(|place| left[place as usize]).collect()).collect();
        let mut on_device: Option<T> = None;
        left.clear();
        while let Some(batch) = batches.pop_front() {
            match launch(&batch) {
                Ok(computed) => {
                    if let Some(before) = on_device.replace(computed) {
                        read(before)?;
                    }
                }
                Err(error) if is_out_of_memory(&error) && batch.len() > 1 => {
                    halve(budget, batch.iter().map(|row| u64::from(lengths[*row as usize])).sum());
                    left = batch.into_iter().chain(batches.drain(..).flatten()).collect();
                    left.sort_unstable();
                }
                Err(error) => return Err(error),
            }
        }
        on_device.map_or(Ok(()), &mut read)?;
    }
    Ok(())
}

fn is_out_of_memory(error: &RunnerError) -> bool {
    matches!(error, RunnerError::Torch(TorchError::OutOfMemory { .. }))
}

/// Half of the size that was too large.
fn halve(budget: &Cell<u64>, tokens: u64) {
    let smaller = (budget.get().min(tokens) / 2).max(1);
    tracing::warn!(
        "out of memory on the device for a batch of {tokens} tokens; continuing with {smaller} (batch_tokens = \
         {smaller} starts with this)"
    );
    budget.set(smaller);
}

/// Where the logits of each example are among those of all, row-major `[N, C]`.
struct Places {
    /// Of each example its first prediction, and `N` last.
    starts: Vec<usize>,
    /// `C`
    outputs: usize,
}

impl Places {
    fn of(examples: &[Example<'_>], config: &ModelConfig) -> Self {
        let mut starts = vec![0];
        starts.extend(examples.iter().scan(0, |sum, example| {
            *sum += example.predictions();
            Some(*sum)
        }));
        Places { starts, outputs: usize::try_from(config.outputs()).unwrap_or(0) }
    }

    fn values(&self) -> usize {
        self.starts.last().copied().unwrap_or(0) * self.outputs
    }

    /// The values of an example.
    fn of_example(&self, example: u32) -> std::ops::Range<usize> {
        let example = example as usize;
        self.starts[example] * self.outputs..self.starts[example + 1] * self.outputs
    }
}

/// A batch that the device has, or is at work on.
struct Computed {
    /// Its examples, in the order of the rows of `logits`.
    examples: Vec<u32>,
    /// `[N, C]`
    logits: ReadBack,
}

impl Computed {
    /// Waits for the logits and puts those of each example where they belong.
    fn read_into(&self, places: &Places, logits: &mut [f32]) -> Result<(), RunnerError> {
        let on_host = self.logits.wait()?.f_contiguous().map_err(TorchError::from)?;
        let mut values = vec![0f32; on_host.numel()];
        on_host.f_copy_data(&mut values, on_host.numel()).map_err(TorchError::from)?;
        // The last row may be one that fills the batch up.
        let mut rest = values.as_slice();
        for example in &self.examples {
            let place = places.of_example(*example);
            let Some((own, others)) = rest.split_at_checked(place.len()) else {
                let (found, size) = (values.len(), on_host.size());
                let message =
                    format!("{found} logits {size:?} are too few for {} examples", self.examples.len());
                return Err(TorchError::from(tch::TchError::Shape(message)).into());
            };
            logits[place].copy_from_slice(own);
            rest = others;
        }
        Ok(())
    }
}

/// Examples as a model counts their tokens.
///
/// # Errors
/// [`RunnerError`] for a token that the model does not know.
pub fn packed(config: &ModelConfig, examples: &[Example<'_>]) -> Result<PackedBatch, RunnerError> {
    let (vocab_size, type_vocab_size) = config.vocab_sizes();
    let mut packed = PackedBatch::new(examples, vocab_size, type_vocab_size)?;
    if let Some(token) = config.uncounted_token() {
        packed.uncount(token);
    }
    Ok(packed)
}

/// A packed batch on the model's device, to be computed in what the model computes in.
///
/// # Errors
/// [`RunnerError::Positions`] where the model predicts for rows and the batch has positions, or the other way round;
/// [`RunnerError`] where the copy fails.
pub fn packed_inputs(packed: &PackedBatch, model: &Model) -> Result<Inputs, RunnerError> {
    let inputs = inputs_on(packed, model.device())?.computed_in(model.compute_kind());
    match (model.config().head, packed.positions.is_empty()) {
        (HeadKind::Sequence, true) => Ok(inputs),
        (HeadKind::Sequence, false) => {
            Err(RunnerError::Positions { head: HeadKind::Sequence.suffix(), rows: "words" })
        }
        (head, true) => Err(RunnerError::Positions { head: head.suffix(), rows: "whole rows" }),
        (_, false) => Ok(inputs.at(&packed.positions)?),
    }
}

/// A packed batch on a device.
pub(crate) fn inputs_on(packed: &PackedBatch, device: Device) -> Result<Inputs, RunnerError> {
    let PackedBatch { input_ids, token_type_ids, position_ids, cu_seqlens, .. } = packed;
    Ok(Inputs::new(input_ids, token_type_ids, position_ids, cu_seqlens, device)?)
}

/// The first row of `[N, C]` logits that has NaN or infinity.
pub fn first_not_finite(logits: &[f32], outputs: usize) -> Option<usize> {
    logits.chunks_exact(outputs.max(1)).position(|row| row.iter().any(|value| !value.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out_of_memory() -> RunnerError {
        TorchError::OutOfMemory { operation: "forward pass", message: "CUDA out of memory".to_owned() }.into()
    }

    /// A device that takes `room` tokens: every row is computed once, and later calls begin with what fitted.
    #[test]
    fn a_batch_beyond_the_memory_is_cut_and_every_row_is_computed_once() {
        let lengths: Vec<u32> = (0..200).map(|row| 1 + row * 7 % 40).collect();
        let budget = Cell::new(1000);
        let (mut refused, mut done) = (0, Vec::new());
        let mut pass = |room: u64| {
            done.clear();
            in_batches(
                &lengths,
                &budget,
                |batch| {
                    let tokens: u64 = batch.iter().map(|row| u64::from(lengths[*row as usize])).sum();
                    if tokens > room {
                        refused += 1;
                        return Err(out_of_memory());
                    }
                    Ok(batch.to_vec())
                },
                |batch| {
                    done.extend(batch);
                    Ok(())
                },
            )
            .unwrap();
            done.sort_unstable();
            assert_eq!(done, (0..200).collect::<Vec<u32>>());
            refused
        };
        assert_eq!(pass(130), 3, "1000, 500, 250, and 125 fits");
        assert_eq!(pass(130), 3, "the smaller budget stays");
        assert!(budget.get() <= 130);
    }

    #[test]
    fn a_single_row_that_is_too_large_and_any_other_failure_end_the_pass() {
        let budget = Cell::new(1000);
        let alone = in_batches(&[50, 40], &budget, |_| Err::<(), _>(out_of_memory()), |()| Ok(()));
        assert!(is_out_of_memory(&alone.unwrap_err()));
        let other = || RunnerError::Thread("reader");
        let mut calls = 0;
        let failed = in_batches(
            &[50, 40],
            &budget,
            |_| {
                calls += 1;
                Err::<(), _>(other())
            },
            |()| Ok(()),
        );
        assert!(matches!(failed.unwrap_err(), RunnerError::Thread("reader")));
        assert_eq!(calls, 1);
    }
}
