//! The loop: batches, loss, step, validation, the best checkpoint.

use std::path::Path;
use std::time::Instant;

use distill_core::{Progress, StopSignal};
use distill_data::batches::{PackedBatch, TrainingOrder};
use distill_data::cache::Example;
use distill_model::{Mode, SequenceClassifier};
use distill_teacher::forward::{default_batch_tokens, packed_inputs};
use distill_torch::{AdamW, AdamWConfig, Dropout, guard};
use tch::{Device, Kind, Tensor};

use crate::data::{Part, TrainingData};
use crate::error::TrainError;
use crate::evaluate::{Evaluation, evaluate};
use crate::loss::{UNLABELLED, distillation_loss};
use crate::metrics::{Line, MetricsFile};
use crate::schedule::LinearSchedule;
use crate::settings::TrainSettings;
use crate::vocabulary::Vocabulary;

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
    /// Seconds of steps and evaluations.
    pub seconds: f64,
}

/// The best checkpoint so far.
struct Best {
    epoch: u32,
    evaluation: Evaluation,
    weights: Vec<(String, Tensor)>,
}

impl Trainer<'_> {
    /// Trains, writes `metrics.jsonl` into `directory` and leaves the best weights in the model.
    ///
    /// # Errors
    /// [`TrainError`] for settings that make no sense, a loss that is not finite, or a stop.
    pub fn run(&self, directory: &Path) -> Result<Outcome, TrainError> {
        self.settings.check()?;
        self.check_rows()?;
        let (settings, start) = (self.settings, Instant::now());
        let order = TrainingOrder {
            rows: self.data.train.rows.clone(),
            batch_rows: settings.batch_size,
            seed: self.seed,
        };
        let total_steps = order.batches_per_epoch() as u64 * u64::from(settings.epochs);
        let schedule = LinearSchedule::new(settings.learning_rate, settings.warmup_ratio, total_steps);
        let mut vocabulary = Vocabulary::of(&self.data.train, self.model.word_embeddings());
        if let Some(vocabulary) = &mut vocabulary {
            vocabulary.narrow()?;
        }
        let config = AdamWConfig { weight_decay: settings.weight_decay, ..AdamWConfig::default() };
        let parameters =
            self.model.parameters().iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        let mut state = Loop {
            optimizer: AdamW::new(config, parameters),
            schedule,
            dropout: Dropout::new(self.seed),
            vocabulary,
            metrics: MetricsFile::create(directory)?,
            window: Window::new(),
            global_step: 0,
            steps_per_epoch: order.batches_per_epoch() as u64,
        };
        let mut best: Option<Best> = None;
        let mut epoch = 0;
        self.progress.begin("train", total_steps, "steps");
        while epoch < settings.epochs && !self.is_over(epoch, best.as_ref()) {
            for batch in order.epoch(u64::from(epoch)) {
                self.stop.check()?;
                self.step(&batch, &mut state)?;
            }
            epoch += 1;
            best = Some(self.validate(epoch, best, &mut state)?);
        }
        self.progress.end();
        state.metrics.sync()?;
        let best = best.ok_or_else(|| TrainError::Rows("no epoch was trained".to_owned()))?;
        if let Some(vocabulary) = &mut state.vocabulary {
            vocabulary.widen()?;
        }
        self.model.restore(&best.weights)?;
        Ok(Outcome {
            global_step: state.global_step,
            epochs: epoch,
            stopped_early: epoch < settings.epochs,
            best_epoch: best.epoch,
            best: best.evaluation,
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
        if self.settings.soft_weight == 0.0 && train.labelled() < train.rows.len() {
            let unlabelled = train.rows.len() - train.labelled();
            return Err(TrainError::Rows(format!(
                "{unlabelled} of {} training rows have no label, and without a soft loss nothing can be learned from them",
                train.rows.len()
            )));
        }
        Ok(())
    }

    fn is_over(&self, epoch: u32, best: Option<&Best>) -> bool {
        let patience = self.settings.early_stopping_patience;
        patience > 0 && best.is_some_and(|best| epoch - best.epoch >= patience)
    }

    fn step(&self, rows: &[u32], state: &mut Loop) -> Result<(), TrainError> {
        let examples: Vec<Example<'_>> =
            rows.iter().map(|row| self.data.train.cache.get(*row as usize)).collect();
        let vocab_size = u32::try_from(self.model.config().vocab_size).unwrap_or(u32::MAX);
        let mut packed = PackedBatch::new(&examples, vocab_size).map_err(distill_teacher::RunnerError::from)?;
        if let Some(vocabulary) = &state.vocabulary {
            vocabulary.renumber(&mut packed.input_ids);
        }
        let device = self.model.device();
        let inputs = packed_inputs(&packed, device)?;
        let logits = self.model.forward(&inputs, Mode::Train(&state.dropout))?; // [B, C]
        let ordered: Vec<&Example<'_>> = packed.rows.iter().map(|place| &examples[*place as usize]).collect();
        let labels: Vec<i64> =
            ordered.iter().map(|example| example.label.map_or(UNLABELLED, i64::from)).collect();
        let teacher = (self.settings.soft_weight > 0.0).then(|| soft_targets(&ordered, device));
        let labels = Tensor::from_slice(&labels).to_device(device);
        let loss = distillation_loss(self.settings, &logits, &labels, teacher.as_ref())?;
        guard("backward pass", || loss.backward())?;
        let learning_rate = state.schedule.learning_rate(state.global_step);
        let grad_norm = state.optimizer.step(learning_rate, self.settings.max_grad_norm)?;
        if let Some(vocabulary) = &mut state.vocabulary {
            vocabulary.note_step(learning_rate, self.settings.weight_decay);
        }
        state.global_step += 1;
        state.window.add(&loss, rows.len());
        if state.global_step.is_multiple_of(self.settings.log_every) {
            self.log(learning_rate, &grad_norm, state)?;
        }
        self.progress.update(state.global_step, &state.window.note);
        Ok(())
    }

    /// Writes a line; the only place in the loop where a figure is read back from the device.
    #[allow(clippy::cast_precision_loss)]
    fn log(&self, learning_rate: f64, grad_norm: &Tensor, state: &mut Loop) -> Result<(), TrainError> {
        let (loss, rows_per_second) = state.window.read();
        let grad_norm = grad_norm.double_value(&[]);
        let global_step = state.global_step;
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(TrainError::NotFinite { loss, global_step, learning_rate, grad_norm });
        }
        let epoch = global_step as f64 / state.steps_per_epoch as f64;
        state.metrics.write(&Line::Train {
            global_step,
            epoch,
            loss,
            grad_norm,
            learning_rate,
            rows_per_second,
        })?;
        state.window.note = format!("loss {loss:.4}");
        Ok(())
    }

    fn validate(&self, epoch: u32, best: Option<Best>, state: &mut Loop) -> Result<Best, TrainError> {
        if let Some(vocabulary) = &mut state.vocabulary {
            vocabulary.widen()?;
        }
        let batch_tokens = default_batch_tokens(self.model.device());
        let evaluation = evaluate(self.model, &self.data.validation, self.settings, batch_tokens, self.stop)?;
        let global_step = state.global_step;
        if !evaluation.loss.is_finite() {
            let learning_rate = state.schedule.learning_rate(global_step);
            return Err(TrainError::NotFinite {
                loss: evaluation.loss,
                global_step,
                learning_rate,
                grad_norm: f64::NAN,
            });
        }
        let better = best
            .as_ref()
            .is_none_or(|best| evaluation.is_better_than(&best.evaluation, self.settings.best_metric));
        let Evaluation { loss, accuracy, agreement } = evaluation;
        let line =
            Line::Validation { global_step, epoch: f64::from(epoch), loss, accuracy, agreement, best: better };
        state.metrics.write(&line)?;
        tracing::info!(epoch, loss, accuracy, agreement, best = better, "validation");
        let best = match best {
            Some(best) if !better => best,
            _ => Best { epoch, evaluation, weights: self.model.snapshot() },
        };
        if let Some(vocabulary) = &mut state.vocabulary {
            vocabulary.narrow()?;
        }
        state.window.restart();
        Ok(best)
    }
}

/// What changes from step to step.
struct Loop {
    optimizer: AdamW,
    schedule: LinearSchedule,
    dropout: Dropout,
    vocabulary: Option<Vocabulary>,
    metrics: MetricsFile,
    window: Window,
    global_step: u64,
    steps_per_epoch: u64,
}

/// The rows since the last logged line.
struct Window {
    /// Sum over rows of the loss, kept on the device.
    loss: Option<Tensor>,
    rows: usize,
    since: Instant,
    note: String,
}

impl Window {
    fn new() -> Self {
        Window { loss: None, rows: 0, since: Instant::now(), note: String::new() }
    }

    #[allow(clippy::cast_precision_loss)]
    fn add(&mut self, loss: &Tensor, rows: usize) {
        let loss = loss.detach().to_kind(Kind::Double) * rows as f64;
        self.loss = Some(match self.loss.take() {
            Some(sum) => sum + loss,
            None => loss,
        });
        self.rows += rows;
    }

    /// Mean loss and rows a second, and starts anew.
    #[allow(clippy::cast_precision_loss)]
    fn read(&mut self) -> (f64, f64) {
        let rows = self.rows.max(1) as f64;
        let loss = self.loss.take().map_or(f64::NAN, |sum| sum.double_value(&[]) / rows);
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        self.restart();
        (loss, rows / seconds)
    }

    /// Leaves the time of an evaluation out of the next figure.
    fn restart(&mut self) {
        (self.loss, self.rows, self.since) = (None, 0, Instant::now());
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
