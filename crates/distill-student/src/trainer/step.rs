//! One step: its rows in as many passes as their tokens need, then the optimizer.
//!
//! A loss of logits is a mean over rows or words, and one of layers over rows. So passes whose losses count by their share of
//! these leave the gradients of the whole batch.

use distill_model::{Mode, Tokens};
use distill_teacher::forward::packed_inputs;
use distill_torch::{TorchError, guard, moved_to};
use tch::{Kind, Tensor};
use tracing::trace_span;

use super::Run;
use super::prefetch::PackedPass;
use crate::error::TrainError;
use crate::loss::contrast::contrast_loss;
use crate::loss::{Term, sum};
use crate::term_magnitudes::TermMagnitudes;

impl Run<'_> {
    pub(super) fn step(&mut self, passes: &[PackedPass]) -> Result<(), TrainError> {
        let plan = self.trainer.plan;
        let _step = trace_span!(target: "timeline", "step").entered();
        let mut magnitudes = (self.state.global_step == 0).then(TermMagnitudes::default);
        for pass in passes {
            let terms = self.backward(pass)?;
            if let Some(magnitudes) = &mut magnitudes {
                magnitudes.add(&terms, pass.share);
            }
        }
        if let Some(magnitudes) = magnitudes {
            magnitudes.log();
        }
        let optimizer = trace_span!(target: "timeline", "optimizer").entered();
        let learning_rate = self.schedule.learning_rate(self.state.global_step);
        let grad_norm = self.optimizer.step(learning_rate, plan.optimizer.max_grad_norm)?;
        self.state.global_step += 1;
        self.note_step(learning_rate)?;
        drop(optimizer);
        self.state.batch += 1;
        if self.state.global_step.is_multiple_of(plan.log_every) {
            self.log(learning_rate, &grad_norm)?;
        }
        self.trainer.progress.update(self.state.global_step, self.running_loss.note());
        Ok(())
    }

    /// Adds a pass's gradients, which count by its share of the step's rows; returns its terms.
    fn backward(&mut self, pass: &PackedPass) -> Result<Vec<Term>, TrainError> {
        self.dropout.begin_pass(self.trainer.model.device())?;
        let terms = self.terms(pass)?;
        let loss = sum(&terms)?;
        let backward = trace_span!(target: "timeline", "backward").entered();
        let share = pass.share;
        // A whole batch keeps its bits.
        guard("backward pass", || if share < 1.0 { (&loss * share).backward() } else { loss.backward() })?;
        drop(backward);
        self.running_loss.add(&loss, pass.rows.len());
        Ok(terms)
    }

    fn terms(&self, pass: &PackedPass) -> Result<Vec<Term>, TrainError> {
        let model = self.trainer.model;
        let packing = trace_span!(target: "timeline", "pack").entered();
        let inputs = packed_inputs(&pass.student_batch, model)?;
        drop(packing);
        let mode = Mode::Train(&self.dropout);
        let mut intermediate = Vec::new();
        let logits = match (&self.features, &self.intermediate, &pass.teacher_batch) {
            (Some(features), ..) => {
                let _forward = trace_span!(target: "timeline", "forward").entered();
                features.logits(model, &pass.rows, &pass.student_batch.rows, mode)?
            }
            (None, Some(terms), Some(teacher_batch)) => {
                let teacher = trace_span!(target: "timeline", "teacher").entered();
                let taught = terms.teach(&packed_inputs(teacher_batch, terms.teacher())?)?;
                drop(teacher);
                let _forward = trace_span!(target: "timeline", "forward").entered();
                let recorder = terms.recorder();
                let logits = model.forward_recorded(&inputs, mode, &recorder)?;
                intermediate = terms.terms(&recorder.into_record(), &taught, &inputs.packing)?;
                logits
            }
            (None, ..) => {
                let _forward = trace_span!(target: "timeline", "forward").entered();
                model.forward(&inputs, mode)?
            }
        }; // [N, C]
        let mut terms = self.logit_terms(&logits, pass)?;
        // Of rows both shares are the same number.
        if pass.logit_share != pass.share {
            let factor = pass.logit_share / pass.share;
            terms.iter_mut().for_each(|term| term.value = &term.value * factor);
        }
        terms.append(&mut intermediate);
        terms.extend(self.contrast(pass, mode)?);
        Ok(terms)
    }

    /// What tells the sequences apart, where that is learned: both passes over them differ by dropout alone.
    fn contrast(&self, pass: &PackedPass, mode: Mode<'_>) -> Result<Option<Term>, TrainError> {
        let model = self.trainer.model;
        let (Some(weight), Some(batch)) = (self.trainer.plan.contrast, &pass.plain_batch) else {
            return Ok(None);
        };
        let inputs = packed_inputs(batch, model)?;
        let _forward = trace_span!(target: "timeline", "forward").entered();
        let states = || model.states(&inputs, Tokens::First, mode); // [B, H]
        let value = contrast_loss(&states()?, &states()?)?;
        Ok(Some(Term { name: "contrast", weight, value }))
    }

    /// What labels and soft targets say of logits, `[N, C]`.
    fn logit_terms(&self, logits: &Tensor, pass: &PackedPass) -> Result<Vec<Term>, TorchError> {
        let device = logits.device();
        let logits = &logits.f_to_kind(Kind::Float)?;
        let labels = moved_to(&pass.labels, device)?;
        let teacher = pass.soft_targets.as_ref().map(|targets| moved_to(targets, device)).transpose()?;
        let temperature = self.temperature.at(self.state.global_step);
        self.objective.terms(logits, &labels, teacher.as_ref(), temperature)
    }
}
