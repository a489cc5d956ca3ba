//! One round of each pass, by the code that a real run goes through.

use std::time::Instant;

use distill_core::{LabelMap, ProblemType, Silent};
use distill_data::TextTokenizer;
use distill_data::cache::{Example, TokenCache};
use distill_data::logits::{Fingerprint, LogitsWriter, WriterOptions};
use distill_model::student::Shape;
use distill_model::{ModelConfig, ModelDirectory, SequenceClassifier, student};
use distill_student::data::Part;
use distill_student::{TrainSettings, Trainer, TrainingData};
use distill_teacher::Runner;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::workload::Workload;
use super::{Measured, Round, forward_flops, in_seconds, named};
use crate::commands::teacher;
use crate::output::timeline;
use crate::session::{Session, dtype_name};
use crate::settings::Settings;

/// What the passes share.
pub struct Passes<'a> {
    /// Device, format, threads.
    pub session: &'a Session,
    /// `[teacher]` and `[student]`.
    pub settings: &'a Settings,
    /// The model's.
    pub tokenizer: &'a TextTokenizer,
    /// The model.
    pub directory: &'a ModelDirectory,
    /// The labels of the head.
    pub labels: &'a LabelMap,
    /// The rows.
    pub workload: &'a Workload,
}

/// A pass with its rounds so far.
pub struct Timed<'a> {
    run: Box<dyn FnMut() -> anyhow::Result<Round> + 'a>,
    measured: Measured,
}

impl Timed<'_> {
    /// Runs it once more.
    ///
    /// # Errors
    /// The pass's own.
    pub fn round(&mut self) -> anyhow::Result<()> {
        drop(timeline::take_totals());
        self.measured.rounds.push((self.run)()?);
        Ok(())
    }

    /// The figures.
    pub fn into_measured(self) -> Measured {
        self.measured
    }
}

impl<'a> Passes<'a> {
    /// Tokenize, compute, write, as `distill teacher` does.
    ///
    /// # Errors
    /// Where the model cannot be loaded.
    pub fn teacher(&'a self) -> anyhow::Result<Timed<'a>> {
        let model = student::initialize(
            self.directory,
            Shape::default(),
            self.labels,
            ProblemType::SingleLabel,
            self.session.device,
        )?;
        model.convert(self.session.kind)?;
        model.pack_for_inference();
        let flops = forward_flops(model.config(), &self.workload.lengths());
        let rows = || self.workload.rows.iter().cloned().map(Ok);
        self.runner(&model).warm_up(rows())?;
        let run = move || {
            let out = tempfile::tempdir()?;
            let path = out.path().join("logits.parquet");
            let mut writer = LogitsWriter::create(&path, &self.fingerprint(), WriterOptions::default())?;
            let runner = self.runner(&model);
            let start = Instant::now();
            let total = self.workload.rows.len() as u64;
            let stats = runner.run("bench", rows(), total, |rows| Ok(writer.write(rows)?))?;
            writer.finish()?;
            let seconds = start.elapsed().as_secs_f64();
            let phases = in_seconds(timeline::take_totals());
            Ok(Round { rows: stats.rows, tokens: stats.tokens, flops, seconds, phases })
        };
        Ok(Timed { run: Box::new(run), measured: named("teacher", self.session) })
    }

    /// One epoch of training on tokenized rows with made-up soft targets, as `distill student` does.
    ///
    /// # Errors
    /// Where the model cannot be loaded.
    pub fn student(&'a self) -> anyhow::Result<Timed<'a>> {
        let start = &self.settings.student.start;
        let shape = Shape { layers: start.layers.as_deref(), hidden_size: start.hidden_size };
        let model = student::initialize(
            self.directory,
            shape,
            self.labels,
            ProblemType::SingleLabel,
            self.session.device,
        )?;
        model.compute_in(self.session.kind);
        let settings = TrainSettings { epochs: 1, checkpoint_steps: 0, ..self.settings.student.train.clone() };
        let data = self.examples()?;
        // Backward is twice a forward pass: gradients of activations and of weights.
        let flops = 3.0 * forward_flops(model.config(), &self.workload.lengths());
        let few =
            Part { rows: (0..(2 * settings.batch_size).min(data.rows.len()) as u32).collect(), ..data.clone() };
        self.train(&model, &settings, few)?;
        let run = move || {
            drop(timeline::take_totals());
            self.train(&model, &settings, data.clone())?;
            let phases = in_seconds(timeline::take_totals());
            let step =
                phases.iter().find(|(name, _)| *name == "step").map_or(f64::NAN, |(_, seconds)| *seconds);
            let rows = self.workload.rows.len() as u64;
            Ok(Round { rows, tokens: self.workload.tokens(), flops, seconds: step, phases })
        };
        Ok(Timed { run: Box::new(run), measured: named("student", self.session) })
    }

    fn runner<'b>(&'b self, model: &'b SequenceClassifier) -> Runner<'b> {
        Runner { progress: &Silent, ..teacher::runner(model, self.tokenizer, self.settings, self.session) }
    }

    fn train(&self, model: &SequenceClassifier, settings: &TrainSettings, train: Part) -> anyhow::Result<()> {
        let out = tempfile::tempdir()?;
        // Validation is no part of a step; one row is the least there can be.
        let validation = Part { rows: vec![0], ..train.clone() };
        let data = TrainingData { train, validation };
        let (seed, stop) = (self.session.seed, &self.session.stop);
        let trainer = Trainer { model, teacher: None, settings, data: &data, seed, stop, progress: &Silent };
        trainer.run(out.path())?;
        Ok(())
    }

    fn examples(&self) -> anyhow::Result<Part> {
        let mut random = ChaCha8Rng::seed_from_u64(self.session.seed);
        let num_labels = self.labels.num_labels();
        let cache = TokenCache::in_memory(|writer| {
            self.workload.rows.iter().zip(&self.workload.encoded).try_for_each(|(row, tokens)| {
                #[allow(clippy::cast_precision_loss)]
                let logits: Vec<f32> =
                    (0..num_labels).map(|_| (random.next_u32() >> 8) as f32 / (1 << 22) as f32 - 2.0).collect();
                writer.push(Example {
                    input_ids: &tokens.input_ids,
                    token_type_ids: Some(&tokens.token_type_ids),
                    targets: &[],
                    label: i32::try_from(row.row as usize % num_labels).ok(),
                    logits: &logits,
                    id_hash: row.row,
                    partner_hash: None,
                    row: row.row,
                })
            })
        })?;
        Ok(Part::whole(cache))
    }

    fn fingerprint(&self) -> Fingerprint {
        let config: &ModelConfig = self.directory.config();
        Fingerprint {
            format_version: Fingerprint::FORMAT_VERSION,
            teacher_weights: "bench".to_owned(),
            tokenizer: self.tokenizer.hash().to_owned(),
            label_map: self.labels.clone(),
            problem_type: ProblemType::SingleLabel,
            max_length: u32::try_from(config.max_length()).unwrap_or(u32::MAX),
            dtype: dtype_name(self.session.kind).to_owned(),
            dataset: "bench".to_owned(),
        }
    }
}
