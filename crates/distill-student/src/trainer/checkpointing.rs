//! Checkpoints of a run: when, what, and how to resume from one.

use std::time::Instant;

use distill_core::StopReason;
use distill_torch::{Dropout, TorchError};
use tch::Tensor;
use tracing::trace_span;

use super::Run;
use crate::active_vocabulary::ActiveVocabulary;
use crate::checkpoint::{Checkpoint, Checkpoints, State};
use crate::ema::WeightMean;
use crate::error::TrainError;
use crate::intermediate_losses::IntermediateLosses;

impl Run<'_> {
    pub(super) fn checkpoint_is_due(&self) -> bool {
        let checkpoints = self.trainer.plan.checkpoints;
        let by_steps =
            checkpoints.every_steps.is_some_and(|steps| self.state.global_step.is_multiple_of(steps));
        by_steps || checkpoints.every.is_some_and(|time| self.saved.elapsed() >= time)
    }

    pub(super) fn save(&mut self, checkpoints: &Checkpoints) -> Result<(), TrainError> {
        let _span = trace_span!(target: "timeline", "checkpoint").entered();
        self.metrics.sync()?;
        let (loss_sum, loss_rows) = self.running_loss.sums();
        let state = State {
            dropout_counter: self.dropout.counter(),
            vocabulary_decay: self.vocabulary.as_ref().map_or(1.0, ActiveVocabulary::decay),
            mean_vocabulary_decay: self.mean.as_ref().map_or(1.0, WeightMean::vocabulary),
            loss_sum,
            loss_rows,
            metrics_bytes: self.metrics.bytes(),
            ..self.state.clone()
        };
        if self.saved_state.as_ref() == Some(&state) {
            return Ok(());
        }
        let mut tensors: Vec<(String, Tensor)> = Vec::new();
        let mut add = |prefix: &str, named: Vec<(String, Tensor)>| {
            tensors.extend(named.into_iter().map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)));
        };
        add("model", self.trainer.model.parameters().iter().map(|(n, t)| (n.clone(), t.detach())).collect());
        add("optimizer", self.optimizer.state());
        add("mean", self.mean.as_ref().map_or(Vec::new(), WeightMean::state));
        let projections = self.intermediate.as_ref().map_or(Vec::new(), IntermediateLosses::parameters);
        add("beside", projections.iter().map(|(n, t)| (n.clone(), t.detach())).collect());
        add("best", self.best_weights.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect());
        let path = checkpoints.save(&state, &tensors)?;
        tracing::debug!("checkpoint {}", path.display());
        self.saved = Instant::now();
        self.saved_state = Some(state);
        Ok(())
    }

    /// The stop itself, or what kept the checkpoint from being written.
    pub(super) fn save_and_stop(&mut self, checkpoints: &Checkpoints, reason: StopReason) -> TrainError {
        match self.save(checkpoints) {
            Ok(()) => TrainError::Stopped(reason),
            Err(error) => error,
        }
    }

    /// Puts a checkpoint back.
    pub(super) fn resume(&mut self, checkpoint: Checkpoint) -> Result<(), TrainError> {
        let Checkpoint { state, mut tensors } = checkpoint;
        let mut take = |prefix: &str, names: &mut dyn Iterator<Item = String>| -> Vec<(String, Tensor)> {
            names
                .filter_map(|name| Some((name.clone(), tensors.remove(&format!("{prefix}.{name}"))?)))
                .collect()
        };
        let names = || self.trainer.model.parameters().iter().map(|(name, _)| name.clone());
        self.trainer.model.restore(&take("model", &mut names()))?;
        self.best_weights = take("best", &mut names());
        for (name, own) in self.intermediate.as_ref().map_or(Vec::new(), IntermediateLosses::parameters) {
            let found = tensors.remove(&format!("beside.{name}")).filter(|found| found.size() == own.size());
            let found =
                found.ok_or_else(|| tch::TchError::Shape(format!("{name} is missing or has the wrong shape")));
            tch::no_grad(|| {
                own.shallow_clone().f_copy_(&found.map_err(TorchError::from)?).map_err(TorchError::from)
            })?;
        }
        self.optimizer.load_state(|name| tensors.remove(&format!("optimizer.{name}")))?;
        if let Some(mean) = &mut self.mean {
            mean.load_state(state.mean_vocabulary_decay, |name| tensors.remove(&format!("mean.{name}")))?;
        }
        self.dropout = Dropout::at(self.trainer.seed, state.dropout_counter);
        if let Some(vocabulary) = &mut self.vocabulary {
            vocabulary.set_decay(state.vocabulary_decay);
        }
        self.running_loss.set_sums(state.loss_sum, state.loss_rows);
        tracing::info!(global_step = state.global_step, epoch = state.epoch, "resumed from a checkpoint");
        self.saved_state = Some(state.clone());
        self.state = state;
        Ok(())
    }
}
