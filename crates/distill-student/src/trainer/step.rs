//! One step: its rows in as many passes as their tokens need, then the optimizer.
//!
//! The loss is a mean over rows, so passes whose losses count by their share of the rows leave the gradients of
//! the whole batch.

use distill_data::batches::order_by_length;
use distill_data::cache::Example;
use distill_model::Mode;
use distill_teacher::forward::{packed, packed_inputs};
use distill_torch::{TorchError, copied_to, guard, moved_to};
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

use super::{Run, Trainer};
use crate::error::TrainError;
use crate::labels;
use crate::loss::{Term, sum};
use crate::settings::{SoftLoss, TrainSettings};
use crate::sizes::Sizes;

/// Tokens of one training pass where nothing else is asked for: ordinary batches are not cut, and what a
/// backward pass keeps stays within some gigabytes.
fn default_batch_tokens(device: Device) -> u64 {
    if device.is_cuda() { 32_768 } else { 8_192 }
}

impl Run<'_> {
    pub(super) fn step(&mut self, rows: &[u32]) -> Result<(), TrainError> {
        let settings = self.trainer.settings;
        let _step = trace_span!(target: "timeline", "step").entered();
        let mut sizes = (self.state.global_step == 0).then(Sizes::default);
        for part in self.passes(rows) {
            #[allow(clippy::cast_precision_loss)]
            let share = part.len() as f64 / rows.len() as f64;
            let terms = self.backward(&part, share)?;
            if let Some(sizes) = &mut sizes {
                sizes.add(&terms, share);
            }
        }
        if let Some(sizes) = sizes {
            sizes.tell();
        }
        let optimizer = trace_span!(target: "timeline", "optimizer").entered();
        let learning_rate = self.schedule.learning_rate(self.state.global_step);
        let grad_norm = self.optimizer.step(learning_rate, settings.max_grad_norm)?;
        self.state.global_step += 1;
        self.note_step(learning_rate)?;
        drop(optimizer);
        self.state.batch += 1;
        if self.state.global_step.is_multiple_of(settings.log_every) {
            self.log(learning_rate, &grad_norm)?;
        }
        self.trainer.progress.update(self.state.global_step, self.window.note());
        Ok(())
    }

    /// The rows of a step, in parts of as many tokens as one pass takes.
    fn passes(&self, rows: &[u32]) -> Vec<Vec<u32>> {
        let Trainer { model, settings, data, .. } = self.trainer;
        let budget = match settings.batch_tokens {
            0 => default_batch_tokens(model.device()),
            tokens => tokens,
        };
        let whole_batches = settings.loss == SoftLoss::Dist && settings.soft_weight > 0.0;
        let lengths: Vec<u32> =
            rows.iter().map(|row| data.train.cache.get(*row as usize).input_ids.len() as u32).collect();
        let tokens: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        if tokens <= budget || whole_batches || self.features.is_some() {
            return vec![rows.to_vec()];
        }
        let parts = order_by_length(&lengths, budget).into_iter();
        parts.map(|part| part.into_iter().map(|place| rows[place as usize]).collect()).collect()
    }

    /// Adds a part's gradients, which count by its share of the step's rows; returns its terms.
    fn backward(&mut self, rows: &[u32], share: f64) -> Result<Vec<Term>, TrainError> {
        let data = self.trainer.data;
        self.dropout.begin_pass(self.trainer.model.device())?;
        let examples: Vec<Example<'_>> = rows.iter().map(|row| data.train.cache.get(*row as usize)).collect();
        let terms = self.terms(rows, &examples)?;
        let loss = sum(&terms)?;
        let backward = trace_span!(target: "timeline", "backward").entered();
        // A whole batch keeps its bits.
        guard("backward pass", || if share < 1.0 { (&loss * share).backward() } else { loss.backward() })?;
        drop(backward);
        self.window.add(&loss, rows.len());
        Ok(terms)
    }

    fn terms(&self, rows: &[u32], examples: &[Example<'_>]) -> Result<Vec<Term>, TrainError> {
        let Trainer { model, settings, .. } = self.trainer;
        let packing = trace_span!(target: "timeline", "pack").entered();
        let mut own = packed(model.config(), examples)?;
        if let Some(vocabulary) = &self.vocabulary {
            vocabulary.renumber(&mut own.input_ids);
        }
        let inputs = packed_inputs(&own, model)?;
        drop(packing);
        let mode = Mode::Train(&self.dropout);
        let mut inside = Vec::new();
        let logits = match (&self.features, &self.inside) {
            (Some(features), _) => {
                let _forward = trace_span!(target: "timeline", "forward").entered();
                features.logits(model, rows, &own.rows, mode)?
            }
            (None, None) => {
                let _forward = trace_span!(target: "timeline", "forward").entered();
                model.forward(&inputs, mode)?
            }
            (None, Some(terms)) => {
                let teacher = trace_span!(target: "timeline", "teacher").entered();
                let theirs = packed_inputs(&packed(terms.teacher().config(), examples)?, terms.teacher())?;
                let taught = terms.teach(&theirs)?;
                drop(teacher);
                let _forward = trace_span!(target: "timeline", "forward").entered();
                let recorder = terms.recorder();
                let logits = model.forward_recorded(&inputs, mode, &recorder)?;
                inside = terms.terms(&recorder.into_record(), &taught, &inputs.packing)?;
                logits
            }
        }; // [B, C]
        let ordered: Vec<&Example<'_>> = own.rows.iter().map(|place| &examples[*place as usize]).collect();
        let mut terms = self.logit_terms(settings, &logits, &ordered)?;
        terms.append(&mut inside);
        Ok(terms)
    }

    /// What labels and soft targets say of logits, `[B, C]`.
    fn logit_terms(
        &self,
        settings: &TrainSettings,
        logits: &Tensor,
        examples: &[&Example<'_>],
    ) -> Result<Vec<Term>, TorchError> {
        let device = logits.device();
        let logits = &logits.f_to_kind(Kind::Float)?;
        let config = self.trainer.model.config();
        let labels = labels::tensor(examples.iter().copied(), config.problem_type, config.labels.num_labels());
        let labels = moved_to(&labels, device)?;
        let teacher = (settings.soft_weight > 0.0).then(|| soft_targets(examples, device)).transpose()?;
        let temperature = self.temperature.at(self.state.global_step);
        self.objective.terms(logits, &labels, teacher.as_ref(), temperature)
    }
}

/// The teacher's logits, `[B, C]`.
fn soft_targets(examples: &[&Example<'_>], device: Device) -> Result<Tensor, TorchError> {
    let logits: Vec<f32> = examples.iter().flat_map(|example| example.logits.iter().copied()).collect();
    Ok(copied_to(&logits, device)?.f_view([examples.len() as i64, -1])?)
}
