//! A frozen encoder runs once: its features are kept, and only pooler and head are trained on them.
//!
//! Without dropout inside the encoder, as nothing in it is trained. Memory: 4 bytes a row and hidden unit, and on a
//! CPU the encoder's linear layers once more. How they are
//! computed, and kept for the next run, is in `pass`.

mod pass;

use std::sync::Arc;

use distill_core::{Progress, StopSignal};
use distill_model::{Mode, Model};
use distill_torch::{TorchError, copied_to};
use tch::Tensor;

use crate::data::TrainingData;
use crate::error::TrainError;

/// The encoder's features of both parts.
#[derive(Debug)]
pub struct Features {
    /// Of all rows of the training part's cache, `[N, H]`: those of another split are the same.
    train: Tensor,
    /// `[M, H]`, in the order of the validation part.
    validation: Tensor,
}

impl Features {
    /// Runs the encoder over the rows of which no features are kept, in batches of at most `batch_tokens`.
    ///
    /// # Errors
    /// [`TrainError`] from the pass, or a stop.
    pub fn of(
        model: &Model,
        data: &TrainingData,
        batch_tokens: u64,
        stop: &StopSignal,
        progress: &dyn Progress,
    ) -> Result<Self, TrainError> {
        let train = pass::features(model, &data.train.cache, batch_tokens, stop, progress)?;
        let apart = (!Arc::ptr_eq(&data.train.cache, &data.validation.cache))
            .then(|| pass::features(model, &data.validation.cache, batch_tokens, stop, progress))
            .transpose()?;
        let validation = pick(apart.as_ref().unwrap_or(&train), data.validation.rows.iter())?;
        Ok(Features { train, validation })
    }

    /// Logits of a batch of training rows, in the order in which they were packed: `[B, C]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn logits(
        &self,
        model: &Model,
        rows: &[u32],
        packed: &[u32],
        mode: Mode<'_>,
    ) -> Result<Tensor, TorchError> {
        model.classify(&pick(&self.train, packed.iter().map(|place| &rows[*place as usize]))?, mode)
    }

    /// Logits of the validation part, row-major `[M, C]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn validation_logits(&self, model: &Model) -> Result<Vec<f32>, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        let logits = model.classify(&self.validation, Mode::Evaluate)?.to_device(tch::Device::Cpu);
        let mut values = vec![0f32; logits.numel()];
        logits.contiguous().f_copy_data(&mut values, logits.numel())?;
        Ok(values)
    }
}

/// The features of some rows of `[N, H]`.
fn pick<'a>(features: &Tensor, rows: impl Iterator<Item = &'a u32>) -> Result<Tensor, TorchError> {
    let rows: Vec<i64> = rows.map(|row| i64::from(*row)).collect();
    Ok(features.f_index_select(0, &copied_to(&rows, features.device())?)?)
}
