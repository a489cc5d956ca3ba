//! The loop: batches, loss, step, validation, the best checkpoint.

use std::path::Path;
use std::time::Instant;

use distill_core::{Progress, StopSignal};
use distill_model::Model;
use distill_task::Figures;
use distill_task::Positions;
use distill_teacher::RunnerError;
use distill_torch::{Dropout, Optimizer};
use tch::Tensor;
use tracing::trace_span;

use crate::active_vocabulary::ActiveVocabulary;
use crate::checkpoint::{Checkpoint, Checkpoints, State};
use crate::data::TrainingData;
use crate::ema::WeightMean;
use crate::error::TrainError;
use crate::evaluate::{Evaluation, Scoring, evaluate};
use crate::features::Features;
use crate::intermediate_losses::IntermediateLosses;
use crate::loss::{Objective, Temperature};
use crate::masked;
use crate::metrics::{Line, MetricsFile};
use crate::optimizer;
use crate::param_groups::ParamGroups;
use crate::plan::TrainPlan;
use crate::running_loss::RunningLoss;
use crate::sampling::Sampler;
use crate::schedule::Schedule;
use crate::settings::Freeze;

mod checkpointing;
mod checks;
mod prefetch;
mod step;

pub use checks::check_soft_targets;

/// One training run.
pub struct Trainer<'a> {
    /// The model; at the end it holds the best checkpoint.
    pub model: &'a Model,
    /// The teacher that runs next to it, for losses on intermediate layers.
    pub teacher: Option<&'a Model>,
    /// How to train.
    pub plan: &'a TrainPlan,
    /// What to train on.
    pub data: &'a TrainingData,
    /// Decides shuffling and dropout.
    pub seed: u64,
    /// Asked before every step.
    pub stop: &'a StopSignal,
    /// Told how far the run is.
    pub progress: &'a dyn Progress,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// Steps done.
    pub global_step: u64,
    /// Epochs done.
    pub epochs: u32,
    /// Whether it ended before its last epoch because nothing got better.
    pub stopped_early: bool,
    /// The epoch whose weights were kept.
    pub best_epoch: u32,
    /// The validation part under those weights.
    pub best: Evaluation,
    /// Seconds of steps and evaluations since the run began or resumed.
    pub seconds: f64,
}

impl Trainer<'_> {
    /// Trains, writes `metrics.jsonl` and checkpoints into `directory` and leaves the best weights in
    /// the model. Where the directory has a checkpoint, the run goes on from it and ends as if it had
    /// never been stopped.
    ///
    /// # Errors
    /// [`TrainError`] for settings that make no sense, a loss that is not finite, or a stop, after
    /// which a checkpoint is there.
    pub fn run(&self, directory: &Path) -> Result<Outcome, TrainError> {
        self.check()?;
        self.warn();
        let start = Instant::now();
        let checkpoints = Checkpoints::new(directory, self.plan.checkpoints.keep_last);
        let mut run = Run::start(self, checkpoints.newest()?, directory)?;
        let total_steps = run.steps_per_epoch as u64 * u64::from(self.plan.epochs);
        self.progress.begin("train", total_steps, "steps");
        self.progress.resume(run.state.global_step);
        let trained = run.epochs(&checkpoints);
        if let Err(TrainError::Stopped(reason)) = trained {
            return Err(run.save_and_stop(&checkpoints, reason));
        }
        trained?;
        self.progress.end();
        run.metrics.sync()?;
        let (best_epoch, best) = run.keep_best()?;
        Ok(Outcome {
            global_step: run.state.global_step,
            epochs: run.state.epoch,
            stopped_early: run.state.epoch < self.plan.epochs,
            best_epoch,
            best,
            seconds: start.elapsed().as_secs_f64(),
        })
    }
}

/// Weights by name.
type NamedTensors = Vec<(String, Tensor)>;

/// A run between two steps.
struct Run<'a> {
    trainer: &'a Trainer<'a>,
    sampler: Sampler,
    steps_per_epoch: usize,
    schedule: Schedule,
    objective: Objective<'a>,
    intermediate: Option<IntermediateLosses<'a>>,
    temperature: Temperature,
    param_groups: ParamGroups,
    optimizer: Optimizer,
    mean: Option<WeightMean>,
    features: Option<Features>,
    dropout: Dropout,
    vocabulary: Option<ActiveVocabulary>,
    metrics: MetricsFile,
    running_loss: RunningLoss,
    state: State,
    best_weights: NamedTensors,
    saved: Instant,
    /// What the newest checkpoint holds.
    saved_state: Option<State>,
}

impl<'a> Run<'a> {
    fn start(trainer: &'a Trainer<'a>, from: Option<Checkpoint>, directory: &Path) -> Result<Self, TrainError> {
        let (plan, model) = (trainer.plan, trainer.model);
        let (data, seed) = (trainer.data, trainer.seed);
        let intermediate = IntermediateLosses::new(&plan.loss.intermediate, model, trainer.teacher, seed)?;
        let sampler = Sampler::new(plan.sampling, &data.train, plan.batch_size, seed);
        let steps_per_epoch = sampler.batches_per_epoch();
        let total_steps = steps_per_epoch as u64 * u64::from(plan.epochs);
        let param_groups =
            ParamGroups::new(plan.trainable, model.config().architecture, model.config().num_hidden_layers);
        // Features are of rows. Of words, the frozen encoder computes them in every step.
        let of_rows = plan.problem_type.positions() == Positions::Row;
        let features = (of_rows && plan.trainable.freeze == Freeze::Encoder)
            .then(|| Features::of(model, data, plan.evaluation_tokens, trainer.stop, trainer.progress))
            .transpose()?;
        // Where masked tokens are predicted, every row of the vocabulary has a gradient.
        let narrows = plan.masking.is_none()
            && param_groups.embeddings_ever()
            && optimizer::only_scales_what_has_no_gradient(&plan.optimizer);
        let vocabulary =
            if narrows { ActiveVocabulary::of(&data.train, model.word_embeddings()) } else { None };
        if let Some(vocabulary) = &vocabulary {
            vocabulary.shrink()?;
        }
        let mut run = Run {
            trainer,
            schedule: Schedule::of(&plan.learning_rate, total_steps),
            objective: Objective::of(
                plan,
                data.train.labelled_predictions() as u64,
                &data.train.label_counts(model.config().labels.num_labels()),
                model.device(),
            ),
            temperature: Temperature::new(plan.loss.soft.temperature, total_steps),
            optimizer: optimizer::build(
                &plan.optimizer,
                &param_groups,
                model,
                intermediate.as_ref().map_or(Vec::new(), IntermediateLosses::parameters),
            ),
            intermediate,
            mean: plan.ema_decay.and_then(|decay| WeightMean::of(decay, model.parameters())),
            param_groups,
            features,
            dropout: Dropout::new(trainer.seed),
            vocabulary,
            metrics: MetricsFile::open(directory, from.as_ref().map_or(0, |from| from.state.metrics_bytes))?,
            running_loss: RunningLoss::new(),
            state: State { vocabulary_decay: 1.0, mean_vocabulary_decay: 1.0, ..State::default() },
            best_weights: Vec::new(),
            saved: Instant::now(),
            saved_state: None,
            sampler,
            steps_per_epoch,
        };
        if let Some(checkpoint) = from {
            run.resume(checkpoint)?;
        }
        Ok(run)
    }

    fn epochs(&mut self, checkpoints: &Checkpoints) -> Result<(), TrainError> {
        while self.state.epoch < self.trainer.plan.epochs && !self.is_over() {
            self.param_groups.begin_epoch(self.trainer.model.parameters(), self.state.epoch);
            let batches = self.sampler.epoch(u64::from(self.state.epoch));
            self.steps(&batches, checkpoints)?;
            self.validate()?;
            self.state.epoch += 1;
            self.state.batch = 0;
        }
        Ok(())
    }

    /// The steps of an epoch that are left.
    fn steps(&mut self, batches: &[Vec<u32>], checkpoints: &Checkpoints) -> Result<(), TrainError> {
        let packer = self.packer(self.state.epoch);
        std::thread::scope(|scope| {
            let prefetched = packer.prefetch(scope, batches.get(self.state.batch..).unwrap_or_default());
            while self.state.batch < batches.len() {
                self.trainer.stop.check()?;
                let packing = trace_span!(target: "timeline", "pack").entered();
                let passes = prefetched.recv().map_err(|_| RunnerError::Thread("packing"))??;
                drop(packing);
                self.step(&passes)?;
                if self.checkpoint_is_due() {
                    self.save(checkpoints)?;
                }
            }
            Ok(())
        })
    }

    fn is_over(&self) -> bool {
        let (patience, best) = (self.trainer.plan.early_stopping_patience, self.state.best);
        patience.zip(best).is_some_and(|(patience, (epoch, _))| self.state.epoch - epoch >= patience)
    }

    /// What a step does besides moving the parameters that the batch reaches.
    fn note_step(&mut self, learning_rate: f64) -> Result<(), TrainError> {
        if let Some(vocabulary) = &mut self.vocabulary
            && self.param_groups.embeddings_in_epoch(self.state.epoch)
        {
            let rate = learning_rate * self.param_groups.embeddings_factor();
            vocabulary.note_step(rate, optimizer::decoupled_decay(&self.trainer.plan.optimizer));
        }
        if let Some(mean) = &mut self.mean {
            let decay = self.vocabulary.as_ref().map_or(1.0, ActiveVocabulary::decay);
            mean.update(self.state.global_step, decay)?;
        }
        Ok(())
    }

    /// Writes a line; the only place in the loop where a figure is read back from the device.
    fn log(&mut self, learning_rate: f64, grad_norm: &Tensor) -> Result<(), TrainError> {
        let (loss, rows_per_second) = self.running_loss.read();
        let grad_norm = grad_norm.double_value(&[]);
        let global_step = self.state.global_step;
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(TrainError::NotFinite { loss, global_step, learning_rate, grad_norm });
        }
        let plan = self.trainer.plan;
        let epoch = global_step as f64 / self.steps_per_epoch as f64;
        self.metrics.write(&Line::Train {
            global_step,
            epoch,
            loss,
            perplexity: plan.masking.as_ref().filter(|_| plan.contrast.is_none()).map(|_| loss.exp()),
            grad_norm,
            learning_rate,
            rows_per_second,
        })?;
        self.running_loss.set_note(self.note(epoch, loss, learning_rate, rows_per_second));
        Ok(())
    }

    /// How it goes, for people: `epoch 1.3/3, loss 0.1234, lr 4.1e-5, 312 rows/s, best 0.8912`.
    fn note(&self, epoch: f64, loss: f64, learning_rate: f64, rows_per_second: f64) -> String {
        let plan = self.trainer.plan;
        let decimals = if rows_per_second < 10.0 { 2 } else { 0 };
        let best = self.state.best.zip(plan.selection).and_then(|((_, best), metric)| best.figure(metric));
        let best = best.map_or(String::new(), |best| format!(", best {best:.4}"));
        format!(
            "epoch {epoch:.1}/{}, loss {loss:.4}, lr {learning_rate:.1e}, {rows_per_second:.decimals$} rows/s{best}",
            plan.epochs
        )
    }

    fn validate(&mut self) -> Result<(), TrainError> {
        let _span = trace_span!(target: "timeline", "validate").entered();
        let Trainer { model, plan, data, stop, .. } = self.trainer;
        let best = self.state.best.map(|(_, best)| best);
        let scoring = Scoring { objective: &self.objective, temperature: self.temperature.of_validation() };
        let pass = || -> Result<(Evaluation, Option<NamedTensors>), TrainError> {
            let evaluation = match (&self.features, &plan.masking) {
                (_, Some(masking)) => {
                    masked::evaluate(model, &data.validation, masking, plan.evaluation_tokens, stop)?
                }
                (Some(features), None) => scoring.score(
                    &data.validation.iter().collect::<Vec<_>>(),
                    &features.validation_logits(model)?,
                    &model.config().labels,
                )?,
                (None, None) => evaluate(model, &data.validation, &scoring, plan.evaluation_tokens, stop)?,
            };
            let better = match (plan.selection, best) {
                (Some(metric), Some(best)) => evaluation.is_better_than(&best, metric),
                // If epochs cannot be compared, the last one is kept.
                _ => true,
            };
            Ok((evaluation, better.then(|| model.snapshot())))
        };
        let (evaluation, weights) = match (&self.mean, &self.vocabulary) {
            (Some(mean), Some(vocabulary)) => {
                mean.while_in_place(|decay| vocabulary.while_expanded_at(decay, pass))?
            }
            (Some(mean), None) => mean.while_in_place(|_| pass())?,
            (None, Some(vocabulary)) => vocabulary.while_expanded(pass)?,
            (None, None) => pass()?,
        };
        let (global_step, epoch) = (self.state.global_step, self.state.epoch + 1);
        let Evaluation { loss, figures } = evaluation;
        let Figures {
            accuracy,
            agreement,
            micro_f1,
            macro_f1,
            never_predicted,
            mse,
            entity_f1,
            token_accuracy,
            exact_match,
            f1,
            perplexity,
        } = figures;
        if !loss.is_finite() {
            let learning_rate = self.schedule.learning_rate(global_step);
            return Err(TrainError::NotFinite { loss, global_step, learning_rate, grad_norm: f64::NAN });
        }
        let best = weights.is_some();
        self.metrics.write(&Line::Validation { global_step, epoch: f64::from(epoch), loss, figures, best })?;
        tracing::info!(
            epoch,
            loss,
            accuracy,
            agreement,
            micro_f1,
            macro_f1,
            never_predicted,
            mse,
            entity_f1,
            token_accuracy,
            exact_match,
            f1,
            perplexity,
            best,
            "validation"
        );
        if let Some(weights) = weights {
            self.state.best = Some((epoch, evaluation));
            self.best_weights = weights;
        }
        self.running_loss.restart_clock();
        Ok(())
    }

    /// Leaves the best weights in the model.
    fn keep_best(&mut self) -> Result<(u32, Evaluation), TrainError> {
        let best = self.state.best.ok_or_else(|| TrainError::Rows("no epoch was trained".to_owned()))?;
        if let Some(vocabulary) = &self.vocabulary {
            vocabulary.expand()?;
        }
        self.trainer.model.restore(&self.best_weights)?;
        Ok(best)
    }
}
