//! A frozen encoder runs once: its features are kept, and only pooler and head are trained on them.
//!
//! Without dropout inside the encoder, as nothing in it is trained. Memory: 4 bytes a row and hidden unit.

use std::collections::HashMap;

use distill_core::StopSignal;
use distill_data::batches::order_by_length;
use distill_model::{Mode, SequenceClassifier};
use distill_teacher::forward::{packed, packed_inputs};
use distill_torch::TorchError;
use tch::{Kind, Tensor};

use crate::data::{Part, TrainingData};
use crate::error::TrainError;

/// The encoder's features of both parts.
#[derive(Debug)]
pub struct Features {
    /// `[N, H]`
    train: Tensor,
    /// Where a row of the cache stands in `train`.
    places: HashMap<u32, i64>,
    /// `[M, H]`, in the order of the validation part.
    validation: Tensor,
}

impl Features {
    /// Runs the encoder over both parts.
    ///
    /// # Errors
    /// [`TrainError`] from the pass, or a stop.
    pub fn of(
        model: &SequenceClassifier,
        data: &TrainingData,
        batch_tokens: u64,
        stop: &StopSignal,
    ) -> Result<Self, TrainError> {
        let pass = |part: &Part| encode(model, part, batch_tokens, stop);
        let places = data.train.rows.iter().enumerate().map(|(place, row)| (*row, place as i64)).collect();
        Ok(Features { train: pass(&data.train)?, places, validation: pass(&data.validation)? })
    }

    /// Logits of a batch of training rows, in the order in which they were packed: `[B, C]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn logits(
        &self,
        model: &SequenceClassifier,
        rows: &[u32],
        packed: &[u32],
        mode: Mode<'_>,
    ) -> Result<Tensor, TorchError> {
        let place = |row: &u32| self.places.get(&rows[*row as usize]).copied().unwrap_or(-1);
        let places: Vec<i64> = packed.iter().map(place).collect();
        let places = Tensor::from_slice(&places).to_device(self.train.device());
        model.classify(&self.train.f_index_select(0, &places)?, mode)
    }

    /// Logits of the validation part, row-major `[M, C]`.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn validation_logits(&self, model: &SequenceClassifier) -> Result<Vec<f32>, TorchError> {
        let _no_gradients = tch::no_grad_guard();
        let logits = model.classify(&self.validation, Mode::Evaluate)?.to_device(tch::Device::Cpu);
        let mut values = vec![0f32; logits.numel()];
        logits.contiguous().f_copy_data(&mut values, logits.numel())?;
        Ok(values)
    }
}

/// Features of a part's rows in their order, `[N, H]`.
fn encode(
    model: &SequenceClassifier,
    part: &Part,
    batch_tokens: u64,
    stop: &StopSignal,
) -> Result<Tensor, TrainError> {
    let _no_gradients = tch::no_grad_guard();
    let examples: Vec<_> = part.iter().collect();
    let lengths: Vec<u32> = examples.iter().map(|example| example.input_ids.len() as u32).collect();
    let mut features = Vec::new();
    let mut order: Vec<i64> = Vec::with_capacity(examples.len());
    for batch in order_by_length(&lengths, batch_tokens) {
        stop.check()?;
        let members: Vec<_> = batch.iter().map(|index| examples[*index as usize]).collect();
        let packed = packed(model.config(), &members)?;
        order.extend(packed.rows.iter().map(|place| i64::from(batch[*place as usize])));
        let inputs = packed_inputs(&packed, model)?;
        features.push(model.features(&inputs, Mode::Evaluate)?.to_kind(Kind::Float));
    }
    let mut places = vec![0i64; order.len()];
    order.iter().enumerate().for_each(|(place, row)| places[*row as usize] = place as i64);
    let computed = Tensor::f_cat(&features, 0).map_err(TorchError::from)?; // [N, H]
    let places = Tensor::from_slice(&places).to_device(computed.device());
    Ok(computed.f_index_select(0, &places).map_err(TorchError::from)?)
}
