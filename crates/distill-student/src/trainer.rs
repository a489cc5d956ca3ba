//! The loop: batches, loss, step, validation, the best checkpoint.

use std::path::Path;
use std::time::{Duration, Instant};

use distill_core::{Progress, StopReason, StopSignal};
use distill_data::batches::PackedBatch;
use distill_data::cache::Example;
use distill_model::{Mode, SequenceClassifier};
use distill_teacher::forward::{default_batch_tokens, packed_inputs};
use distill_torch::{Dropout, Optimizer, guard};
use tch::{Device, Kind, Tensor};
use tracing::trace_span;

use crate::checkpoint::{Checkpoint, Checkpoints, State};
use crate::data::{Part, TrainingData};
use crate::ema::WeightMean;
use crate::error::TrainError;
use crate::evaluate::{Evaluation, Scoring, evaluate};
use crate::features::Features;
use crate::labels;
use crate::loss::{Objective, Temperature};
use crate::metrics::{Line, MetricsFile};
use crate::moving::Moving;
use crate::sampling::Sampler;
use crate::schedule::Schedule;
use crate::settings::{Freeze, TrainSettings};
use crate::steps;
use crate::vocabulary::Vocabulary;
use crate::window::Window;

/// One training run.
pub struct Trainer<'a> {
    /// The model; at the end it holds the best checkpoint.
    pub model: &'a SequenceClassifier,
    /// How to train.
    pub settings: &'a TrainSettings,
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
    /// Seconds of steps and evaluations since the run began or went on.
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
        self.settings.check()?;
        let config = self.model.config();
        self.settings.for_problem(config.problem_type)?;
        self.settings.check_model(config.labels.num_labels(), config.num_hidden_layers)?;
        self.check_rows()?;
        let start = Instant::now();
        let checkpoints = Checkpoints::new(directory, self.settings.keep_last);
        let mut run = Run::start(self, checkpoints.newest()?, directory)?;
        let total_steps = run.steps_per_epoch as u64 * u64::from(self.settings.epochs);
        self.progress.begin("train", total_steps, "steps");
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
            stopped_early: run.state.epoch < self.settings.epochs,
            best_epoch,
            best,
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn check_rows(&self) -> Result<(), TrainError> {
        let (train, validation) = (&self.data.train, &self.data.validation);
        for (part, name) in [(train, "training"), (validation, "validation")] {
            if part.rows.is_empty() {
                return Err(TrainError::Rows(format!("the {name} part has no rows")));
            }
        }
        let unlabelled = train.rows.len() - train.labelled();
        if self.settings.soft_weight == 0.0 && unlabelled > 0 {
            return Err(TrainError::Rows(format!(
                "{unlabelled} of {} training rows have no label, and without a soft loss nothing can be learned from them",
                train.rows.len()
            )));
        }
        Ok(())
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
    temperature: Temperature,
    moving: Moving<'a>,
    optimizer: Optimizer,
    mean: Option<WeightMean>,
    features: Option<Features>,
    dropout: Dropout,
    vocabulary: Option<Vocabulary>,
    metrics: MetricsFile,
    window: Window,
    state: State,
    best_weights: NamedTensors,
    saved: Instant,
    /// What the newest checkpoint holds.
    saved_state: Option<State>,
}

impl<'a> Run<'a> {
    fn start(trainer: &'a Trainer<'a>, from: Option<Checkpoint>, directory: &Path) -> Result<Self, TrainError> {
        let (settings, model) = (trainer.settings, trainer.model);
        let (data, seed) = (trainer.data, trainer.seed);
        let sampler = Sampler::new(settings.sampling, &data.train, settings.batch_size, seed);
        let steps_per_epoch = sampler.batches_per_epoch();
        let total_steps = steps_per_epoch as u64 * u64::from(settings.epochs);
        let moving = Moving::new(settings, model.config().architecture, model.config().num_hidden_layers);
        let features = (settings.freeze == Freeze::Encoder)
            .then(|| Features::of(model, data, default_batch_tokens(model.device()), trainer.stop))
            .transpose()?;
        let narrows = moving.embeddings_ever() && steps::only_scales_what_has_no_gradient(settings);
        let vocabulary = if narrows { Vocabulary::of(&data.train, model.word_embeddings()) } else { None };
        if let Some(vocabulary) = &vocabulary {
            vocabulary.narrow()?;
        }
        let mut run = Run {
            trainer,
            schedule: Schedule::of(settings, total_steps),
            objective: Objective::new(
                settings,
                &trainer.data.train.label_counts(model.config().labels.num_labels()),
                model.device(),
            )
            .for_problem(model.config().problem_type),
            temperature: Temperature::new(settings, total_steps),
            optimizer: steps::optimizer(settings, &moving, model),
            mean: WeightMean::of(settings.ema_decay, model.parameters()),
            moving,
            features,
            dropout: Dropout::new(trainer.seed),
            vocabulary,
            metrics: MetricsFile::open(directory, from.as_ref().map_or(0, |from| from.state.metrics_bytes))?,
            window: Window::new(),
            state: State { vocabulary_decay: 1.0, mean_vocabulary_decay: 1.0, ..State::default() },
            best_weights: Vec::new(),
            saved: Instant::now(),
            saved_state: None,
            sampler,
            steps_per_epoch,
        };
        if let Some(checkpoint) = from {
            run.go_on(checkpoint)?;
        }
        Ok(run)
    }

    fn epochs(&mut self, checkpoints: &Checkpoints) -> Result<(), TrainError> {
        while self.state.epoch < self.trainer.settings.epochs && !self.is_over() {
            self.moving.begin_epoch(self.trainer.model.parameters(), self.state.epoch);
            let batches = self.sampler.epoch(u64::from(self.state.epoch));
            while self.state.batch < batches.len() {
                self.trainer.stop.check()?;
                self.step(&batches[self.state.batch])?;
                if self.checkpoint_is_due() {
                    self.save(checkpoints)?;
                }
            }
            self.validate()?;
            self.state.epoch += 1;
            self.state.batch = 0;
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let patience = self.trainer.settings.early_stopping_patience;
        patience > 0 && self.state.best.is_some_and(|(epoch, _)| self.state.epoch - epoch >= patience)
    }

    fn step(&mut self, rows: &[u32]) -> Result<(), TrainError> {
        let Trainer { model, settings, data, .. } = self.trainer;
        let _step = trace_span!(target: "timeline", "step").entered();
        let packing = trace_span!(target: "timeline", "pack").entered();
        let examples: Vec<Example<'_>> = rows.iter().map(|row| data.train.cache.get(*row as usize)).collect();
        let (vocab_size, type_vocab_size) = model.config().vocab_sizes();
        let packed = PackedBatch::new(&examples, vocab_size, type_vocab_size);
        let mut packed = packed.map_err(distill_teacher::RunnerError::from)?;
        if let Some(token) = model.config().uncounted_token() {
            packed.uncount(token);
        }
        if let Some(vocabulary) = &self.vocabulary {
            vocabulary.renumber(&mut packed.input_ids);
        }
        let device = model.device();
        let inputs = packed_inputs(&packed, model)?;
        drop(packing);
        let forward = trace_span!(target: "timeline", "forward").entered();
        let mode = Mode::Train(&self.dropout);
        let logits = match &self.features {
            Some(features) => features.logits(model, rows, &packed.rows, mode)?,
            None => model.forward(&inputs, mode)?,
        }; // [B, C]
        let logits = logits.to_kind(Kind::Float);
        let ordered: Vec<&Example<'_>> = packed.rows.iter().map(|place| &examples[*place as usize]).collect();
        let config = model.config();
        let labels = labels::tensor(ordered.iter().copied(), config.problem_type, config.labels.num_labels());
        let labels = labels.to_device(device);
        let teacher = (settings.soft_weight > 0.0).then(|| soft_targets(&ordered, device));
        let temperature = self.temperature.at(self.state.global_step);
        let loss = self.objective.loss(&logits, &labels, teacher.as_ref(), temperature)?;
        drop(forward);
        let backward = trace_span!(target: "timeline", "backward").entered();
        guard("backward pass", || loss.backward())?;
        drop(backward);
        let optimizer = trace_span!(target: "timeline", "optimizer").entered();
        let learning_rate = self.schedule.learning_rate(self.state.global_step);
        let grad_norm = self.optimizer.step(learning_rate, settings.max_grad_norm)?;
        self.state.global_step += 1;
        self.note_step(learning_rate)?;
        drop(optimizer);
        self.state.batch += 1;
        self.window.add(&loss, rows.len());
        if self.state.global_step.is_multiple_of(settings.log_every) {
            self.log(learning_rate, &grad_norm)?;
        }
        self.trainer.progress.update(self.state.global_step, self.window.note());
        Ok(())
    }

    /// What a step does besides moving the parameters that the batch reaches.
    fn note_step(&mut self, learning_rate: f64) -> Result<(), TrainError> {
        if let Some(vocabulary) = &mut self.vocabulary
            && self.moving.embeddings_in_epoch(self.state.epoch)
        {
            let rate = learning_rate * self.moving.embeddings_factor();
            vocabulary.note_step(rate, steps::decoupled_decay(self.trainer.settings));
        }
        if let Some(mean) = &mut self.mean {
            let decay = self.vocabulary.as_ref().map_or(1.0, Vocabulary::decay);
            mean.update(self.state.global_step, decay)?;
        }
        Ok(())
    }

    /// Writes a line; the only place in the loop where a figure is read back from the device.
    #[allow(clippy::cast_precision_loss)]
    fn log(&mut self, learning_rate: f64, grad_norm: &Tensor) -> Result<(), TrainError> {
        let (loss, rows_per_second) = self.window.read();
        let grad_norm = grad_norm.double_value(&[]);
        let global_step = self.state.global_step;
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(TrainError::NotFinite { loss, global_step, learning_rate, grad_norm });
        }
        let epoch = global_step as f64 / self.steps_per_epoch as f64;
        self.metrics.write(&Line::Train {
            global_step,
            epoch,
            loss,
            grad_norm,
            learning_rate,
            rows_per_second,
        })?;
        Ok(())
    }

    fn validate(&mut self) -> Result<(), TrainError> {
        let _span = trace_span!(target: "timeline", "validate").entered();
        let Trainer { model, settings, data, stop, .. } = self.trainer;
        let batch_tokens = default_batch_tokens(model.device());
        let best = self.state.best.map(|(_, best)| best);
        let scoring = Scoring { objective: &self.objective, temperature: self.temperature.of_validation() };
        let pass = || -> Result<(Evaluation, Option<NamedTensors>), TrainError> {
            let evaluation = match &self.features {
                Some(features) => scoring.score(
                    &data.validation.iter().collect::<Vec<_>>(),
                    &features.validation_logits(model)?,
                    model.config().labels.num_labels(),
                )?,
                None => evaluate(model, &data.validation, &scoring, batch_tokens, stop)?,
            };
            let better = best.is_none_or(|best| evaluation.is_better_than(&best, settings.best_metric));
            Ok((evaluation, better.then(|| model.snapshot())))
        };
        let (evaluation, weights) = match (&self.mean, &self.vocabulary) {
            (Some(mean), Some(vocabulary)) => {
                mean.while_in_place(|decay| vocabulary.while_wide_at(decay, pass))?
            }
            (Some(mean), None) => mean.while_in_place(|_| pass())?,
            (None, Some(vocabulary)) => vocabulary.while_wide(pass)?,
            (None, None) => pass()?,
        };
        let (global_step, epoch) = (self.state.global_step, self.state.epoch + 1);
        let Evaluation { loss, accuracy, agreement, micro_f1, macro_f1, mse } = evaluation;
        if !loss.is_finite() {
            let learning_rate = self.schedule.learning_rate(global_step);
            return Err(TrainError::NotFinite { loss, global_step, learning_rate, grad_norm: f64::NAN });
        }
        let best = weights.is_some();
        self.metrics.write(&Line::Validation {
            global_step,
            epoch: f64::from(epoch),
            loss,
            accuracy,
            agreement,
            micro_f1,
            macro_f1,
            mse,
            best,
        })?;
        tracing::info!(epoch, loss, accuracy, agreement, micro_f1, macro_f1, mse, best, "validation");
        if let Some(weights) = weights {
            self.state.best = Some((epoch, evaluation));
            self.best_weights = weights;
        }
        self.window.restart_clock();
        Ok(())
    }

    /// Leaves the best weights in the model.
    fn keep_best(&mut self) -> Result<(u32, Evaluation), TrainError> {
        let best = self.state.best.ok_or_else(|| TrainError::Rows("no epoch was trained".to_owned()))?;
        if let Some(vocabulary) = &self.vocabulary {
            vocabulary.widen()?;
        }
        self.trainer.model.restore(&self.best_weights)?;
        Ok(best)
    }
}

/// Checkpoints.
impl Run<'_> {
    fn checkpoint_is_due(&self) -> bool {
        let settings = self.trainer.settings;
        let by_steps =
            settings.checkpoint_steps > 0 && self.state.global_step.is_multiple_of(settings.checkpoint_steps);
        let minutes = Duration::from_secs_f64(settings.checkpoint_minutes * 60.0);
        by_steps || (!minutes.is_zero() && self.saved.elapsed() >= minutes)
    }

    fn save(&mut self, checkpoints: &Checkpoints) -> Result<(), TrainError> {
        let _span = trace_span!(target: "timeline", "checkpoint").entered();
        self.metrics.sync()?;
        let (loss_sum, loss_rows) = self.window.sums();
        let state = State {
            dropout_counter: self.dropout.counter(),
            vocabulary_decay: self.vocabulary.as_ref().map_or(1.0, Vocabulary::decay),
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
        add("best", self.best_weights.iter().map(|(n, t)| (n.clone(), t.shallow_clone())).collect());
        let path = checkpoints.save(&state, &tensors)?;
        tracing::info!("checkpoint {}", path.display());
        self.saved = Instant::now();
        self.saved_state = Some(state);
        Ok(())
    }

    /// The stop itself, or what kept the checkpoint from being written.
    fn save_and_stop(&mut self, checkpoints: &Checkpoints, reason: StopReason) -> TrainError {
        match self.save(checkpoints) {
            Ok(()) => TrainError::Stopped(reason),
            Err(error) => error,
        }
    }

    /// Puts a checkpoint back.
    fn go_on(&mut self, checkpoint: Checkpoint) -> Result<(), TrainError> {
        let Checkpoint { state, mut tensors } = checkpoint;
        let mut take = |prefix: &str, names: &mut dyn Iterator<Item = String>| -> Vec<(String, Tensor)> {
            names
                .filter_map(|name| Some((name.clone(), tensors.remove(&format!("{prefix}.{name}"))?)))
                .collect()
        };
        let names = || self.trainer.model.parameters().iter().map(|(name, _)| name.clone());
        self.trainer.model.restore(&take("model", &mut names()))?;
        self.best_weights = take("best", &mut names());
        self.optimizer.load_state(|name| tensors.remove(&format!("optimizer.{name}")))?;
        if let Some(mean) = &mut self.mean {
            mean.load_state(state.mean_vocabulary_decay, |name| tensors.remove(&format!("mean.{name}")))?;
        }
        self.dropout = Dropout::at(self.trainer.seed, state.dropout_counter);
        if let Some(vocabulary) = &mut self.vocabulary {
            vocabulary.set_decay(state.vocabulary_decay);
        }
        self.window.set_sums(state.loss_sum, state.loss_rows);
        tracing::info!(global_step = state.global_step, epoch = state.epoch, "going on from a checkpoint");
        self.saved_state = Some(state.clone());
        self.state = state;
        Ok(())
    }
}

/// The teacher's logits, `[B, C]`.
fn soft_targets(examples: &[&Example<'_>], device: Device) -> Tensor {
    let logits: Vec<f32> = examples.iter().flat_map(|example| example.logits.iter().copied()).collect();
    Tensor::from_slice(&logits).view([examples.len() as i64, -1]).to_device(device)
}

/// Checks that every row of a part has `num_labels` soft targets.
///
/// # Errors
/// [`TrainError::Rows`] naming the first row that has not.
pub fn check_soft_targets(part: &Part, num_labels: usize) -> Result<(), TrainError> {
    match part.iter().find(|example| example.logits.len() != num_labels) {
        None => Ok(()),
        Some(example) => {
            let found = example.logits.len();
            Err(TrainError::Rows(format!("row {}: {found} soft targets for {num_labels} labels", example.row)))
        }
    }
}
