//! One round of each pass, by the code that a real run goes through.

use std::path::Path;
use std::time::Instant;

use distill_core::{LabelMap, Silent};
use distill_data::TextTokenizer;
use distill_data::logits::{
    Fingerprint, LogitsRow, LogitsWriter, Manifest, Shard, Store, WriterOptions, shard_name,
};
use distill_data::source::Label;
use distill_model::student::Shape;
use distill_model::{Model, ModelConfig, ModelDirectory, directory, student};
use distill_student::data::{CacheBuilder, Part};
use distill_student::{ModelFacts, TrainSettings, Trainer, TrainingData};
use distill_task::TaskId;
use distill_teacher::Runner;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::steps::Steps;
use super::workload::Workload;
use super::{Measured, Round, forward_flops, named};
use crate::output::timeline;
use crate::session::{Session, dtype_name};
use crate::settings::Settings;
use distill_run::inference;

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
            TaskId::SINGLE_LABEL,
            self.session.device,
        )?;
        model.convert(self.session.kind)?;
        model.pack_for_inference()?;
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
            let phases = timeline::take_totals();
            Ok(Round { rows: stats.rows, tokens: stats.tokens, flops, seconds, pass_seconds: seconds, phases })
        };
        Ok(Timed { run: Box::new(run), measured: named("teacher", self.session) })
    }

    /// A store of made-up soft targets read and tokenized into a token cache, the model loaded, trained for one epoch
    /// and written, as `distill student` does.
    ///
    /// # Errors
    /// Where the model cannot be loaded, or there is no room for the store.
    pub fn student(&'a self) -> anyhow::Result<Timed<'a>> {
        let settings = TrainSettings { epochs: 1, checkpoint_steps: 0, ..self.settings.student.train.clone() };
        let targets = tempfile::tempdir()?;
        self.write_store(targets.path())?;
        let model = self.load_student()?;
        // Backward is twice a forward pass: gradients of activations and of weights.
        let flops = 3.0 * forward_flops(model.config(), &self.workload.lengths());
        let out = tempfile::tempdir()?;
        let mut few = self.tokenized(targets.path(), out.path())?;
        few.rows.truncate(2 * settings.batch_size);
        self.train(&model, &settings, few, out.path())?;
        let run = move || {
            let out = tempfile::tempdir()?;
            let start = Instant::now();
            let data = self.tokenized(targets.path(), out.path())?;
            let model = self.load_student()?;
            let seconds = self.train(&model, &settings, data, out.path())?.unwrap_or(f64::NAN);
            directory::save(&model, out.path())?;
            let pass_seconds = start.elapsed().as_secs_f64();
            let phases = timeline::take_totals();
            let (rows, tokens) = (self.workload.rows.len() as u64, self.workload.tokens());
            Ok(Round { rows, tokens, flops, seconds, pass_seconds, phases })
        };
        Ok(Timed { run: Box::new(run), measured: named("student", self.session) })
    }

    fn load_student(&self) -> anyhow::Result<Model> {
        let start = &self.settings.student.start;
        let shape = Shape { layers: start.layers.as_deref(), hidden_size: start.hidden_size };
        let (problem_type, device) = (TaskId::SINGLE_LABEL, self.session.device);
        let model = student::initialize(self.directory, shape, self.labels, problem_type, device)?;
        model.compute_in(self.session.kind);
        Ok(model)
    }

    fn runner<'b>(&'b self, model: &'b Model) -> Runner<'b> {
        Runner { progress: &Silent, ..inference::runner(model, self.tokenizer, self.settings, self.session) }
    }

    /// The seconds from before the first step to after the last, by a clock that waits for the device.
    fn train(
        &self,
        model: &Model,
        settings: &TrainSettings,
        train: Part,
        out: &Path,
    ) -> anyhow::Result<Option<f64>> {
        // Validation is not part of a step; one row is the minimum.
        let validation = Part { rows: vec![0], ..train.clone() };
        let data = TrainingData { train, validation };
        let (seed, stop) = (self.session.seed, &self.session.stop);
        let steps = Steps::on(self.session.device);
        let plan = &settings.resolve(&ModelFacts::of(model))?;
        let trainer = Trainer { model, teacher: None, plan, data: &data, seed, stop, progress: &steps };
        trainer.run(out)?;
        Ok(steps.seconds())
    }

    /// The rows of a store in a new token cache.
    fn tokenized(&self, targets: &Path, out: &Path) -> anyhow::Result<Part> {
        let caches = out.join("cache");
        let builder = CacheBuilder {
            tokenizer: self.tokenizer,
            labels: self.labels,
            problem_type: TaskId::SINGLE_LABEL,
            directory: Some(&caches),
            stop: &self.session.stop,
        };
        Ok(builder.from_store(&Store::open(targets)?, "bench")?)
    }

    /// A store with the rows, labels in turn, and soft targets that say nothing.
    fn write_store(&self, directory: &Path) -> anyhow::Result<()> {
        let mut random = ChaCha8Rng::seed_from_u64(self.session.seed);
        let num_labels = self.labels.num_labels();
        let rows: Vec<LogitsRow> = (self.workload.rows.iter())
            .map(|row| LogitsRow {
                row: row.row.cast_signed(),
                id: row.id.clone(),
                text_hash: row.text_hash(),
                text: Some(row.text.clone()),
                text_pair: row.text_pair.clone(),
                label: i32::try_from(row.row as usize % num_labels).ok().map(Label::Class),
                logits: (0..num_labels)
                    .map(|_| (random.next_u32() >> 8) as f32 / (1 << 22) as f32 - 2.0)
                    .collect(),
                ..LogitsRow::default()
            })
            .collect();
        let path = directory.join(shard_name(0, 1));
        let mut writer = LogitsWriter::create(&path, &self.fingerprint(), WriterOptions::default())?;
        writer.write(&rows)?;
        let shard = Shard { file: writer.finish()?, first_row: 0 };
        Ok(Manifest::new(self.fingerprint(), vec![shard], None).write(directory)?)
    }

    fn fingerprint(&self) -> Fingerprint {
        let config: &ModelConfig = self.directory.config();
        Fingerprint {
            format_version: Fingerprint::FORMAT_VERSION,
            teacher_weights: "bench".to_owned(),
            tokenizer: self.tokenizer.hash().to_owned(),
            label_map: self.labels.clone(),
            problem_type: TaskId::SINGLE_LABEL,
            max_length: u32::try_from(config.max_length()).unwrap_or(u32::MAX),
            dtype: dtype_name(self.session.kind).to_owned(),
            dataset: "bench".to_owned(),
        }
    }
}
