//! The rows of the next step, packed by another thread while this one computes.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use distill_data::batches::{PackedBatch, order_by_length};
use distill_data::cache::{Example, TokenCache};
use distill_data::masking::{Masking, Turn};
use distill_model::ModelConfig;
use distill_task::Positions;
use distill_teacher::RunnerError;
use distill_teacher::forward::packed;
use distill_teacher::runner::named;
use distill_torch::TorchError;
use tch::Tensor;
use tracing::trace_span;

use super::Run;
use crate::active_vocabulary::{ActiveVocabulary, Numbering};
use crate::labels;
use crate::masked::Masks;

/// The rows of one pass, on the host.
pub(super) struct PackedPass {
    /// Their numbers in the token cache, in the order in which they came.
    pub rows: Vec<u32>,
    /// Of the step's rows: what losses of layers count by.
    pub share: f64,
    /// Of what losses of logits are a mean over: rows, words, or windows with an answer.
    pub logit_share: f64,
    /// For the student.
    pub student_batch: PackedBatch,
    /// For the teacher that runs next to it, if one does.
    pub teacher_batch: Option<PackedBatch>,
    /// The same sequences without masks, where they are contrasted.
    pub plain_batch: Option<PackedBatch>,
    /// Labels in the order of `student_batch`, as [`labels::tensor`] has them.
    pub labels: Tensor,
    /// The teacher's logits in that order, `[N, C]`, where a loss reads them.
    pub soft_targets: Option<Tensor>,
}

/// All that makes passes of rows: it is the same for a whole run, and none of it is on a device.
pub(super) struct Packer<'a> {
    cache: &'a TokenCache,
    config: &'a ModelConfig,
    /// For the teacher that runs next to the student.
    teacher_config: Option<&'a ModelConfig>,
    numbering: Option<Numbering>,
    /// Whether a loss reads the teacher's logits.
    with_soft_targets: bool,
    /// Most tokens of a pass; none where a step is one.
    budget: Option<u64>,
    /// How sequences are masked, and in which epoch.
    masking: Option<(&'a Masking, Turn)>,
    /// Whether sequences are contrasted.
    with_plain: bool,
}

impl<'a> Run<'a> {
    pub(super) fn packer(&self, epoch: u32) -> Packer<'a> {
        let trainer = self.trainer;
        let layer_teacher = trainer.teacher.filter(|_| self.intermediate.is_some() && self.features.is_none());
        Packer {
            cache: &trainer.data.train.cache,
            config: trainer.model.config(),
            teacher_config: layer_teacher.map(|teacher| teacher.config()),
            numbering: self.vocabulary.as_ref().map(ActiveVocabulary::numbering).cloned(),
            with_soft_targets: trainer.plan.loss.soft.weight > 0.0,
            budget: trainer.plan.pass_tokens.filter(|_| self.features.is_none()),
            with_plain: trainer.plan.contrast.is_some(),
            masking: trainer.plan.masking.as_ref().map(|masking| (masking, Turn::Epoch(epoch.into()))),
        }
    }
}

impl<'a> Packer<'a> {
    /// Packs `batches` in their order, each while the one before it is computed. The thread ends when the receiver is
    /// dropped; one that cannot be started is the first that is received.
    pub fn prefetch<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        batches: &'scope [Vec<u32>],
    ) -> Receiver<Result<Vec<PackedPass>, RunnerError>>
    where
        'a: 'scope,
    {
        // One that waits and one that is being packed.
        let (send, receive) = sync_channel(1);
        let refused = send.clone();
        let started = named(scope, "packing", move || {
            for rows in batches {
                let step = trace_span!(target: "timeline", "prefetch").in_scope(|| self.step(rows));
                if send.send(step).is_err() {
                    return;
                }
            }
        });
        if let Err(error) = started {
            // Stands for the first step; there is room for it, and the receiver is here.
            drop(refused.send(Err(error)));
        }
        receive
    }

    /// The passes of a step.
    fn step(&self, rows: &[u32]) -> Result<Vec<PackedPass>, RunnerError> {
        let masks = self.masking.map(|(masking, turn)| Masks::of(rows, self.cache, masking, turn));
        let masks = masks.unwrap_or_default();
        self.parts(rows).into_iter().map(|part| self.pass(part, rows, &masks)).collect()
    }

    fn example<'m>(&'m self, row: u32, masks: &'m Masks) -> Example<'m> {
        masks.over(row, self.cache.get(row as usize))
    }

    /// What a loss of logits is a mean over: rows, words, masked tokens, or windows with an answer.
    fn predictions(&self, rows: &[u32], masks: &Masks) -> usize {
        match self.config.problem_type.positions() {
            Positions::Row | Positions::Span => rows.len(),
            Positions::Word | Positions::Masked => {
                rows.iter().map(|row| self.example(*row, masks).predictions()).sum()
            }
        }
    }

    /// The rows of a step, in parts of as many tokens as one pass takes.
    fn parts(&self, rows: &[u32]) -> Vec<Vec<u32>> {
        let lengths: Vec<u32> =
            rows.iter().map(|row| self.cache.get(*row as usize).input_ids.len() as u32).collect();
        let tokens: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
        match self.budget {
            Some(budget) if tokens > budget => {
                let parts = order_by_length(&lengths, budget).into_iter();
                parts.map(|part| part.into_iter().map(|place| rows[place as usize]).collect()).collect()
            }
            _ => vec![rows.to_vec()],
        }
    }

    fn pass(&self, rows: Vec<u32>, of: &[u32], masks: &Masks) -> Result<PackedPass, RunnerError> {
        let examples: Vec<Example<'_>> = rows.iter().map(|row| self.example(*row, masks)).collect();
        let mut student_batch = packed(self.config, &examples)?;
        if let Some(numbering) = &self.numbering {
            numbering.renumber(&mut student_batch.input_ids);
        }
        let teacher_batch = self.teacher_config.map(|config| packed(config, &examples)).transpose()?;
        let plain_batch = self.with_plain.then(|| self.plain(&rows, masks)).transpose()?;
        let ordered: Vec<&Example<'_>> =
            student_batch.rows.iter().map(|place| &examples[*place as usize]).collect();
        let num_labels = self.config.labels.num_labels();
        let labels = labels::tensor(ordered.iter().copied(), self.config.problem_type, num_labels);
        let soft_targets = self.with_soft_targets.then(|| soft_targets(&ordered)).transpose()?;
        let share = rows.len() as f64 / of.len() as f64;
        let logit_share = self.predictions(&rows, masks) as f64 / self.predictions(of, masks) as f64;
        Ok(PackedPass {
            rows,
            share,
            logit_share,
            student_batch,
            teacher_batch,
            plain_batch,
            labels,
            soft_targets,
        })
    }

    /// The sequences without their masks.
    fn plain(&self, rows: &[u32], masks: &Masks) -> Result<PackedBatch, RunnerError> {
        let of = |row: &u32| masks.beneath(*row, self.cache.get(*row as usize));
        packed(self.config, &rows.iter().map(of).collect::<Vec<_>>())
    }
}

/// The teacher's logits, `[N, C]`.
fn soft_targets(examples: &[&Example<'_>]) -> Result<Tensor, TorchError> {
    let logits: Vec<f32> = examples.iter().flat_map(|example| example.logits.iter().copied()).collect();
    let predictions: usize = examples.iter().map(|example| example.predictions()).sum();
    Ok(Tensor::f_from_slice(&logits)?.f_view([predictions as i64, -1])?)
}
