//! `distill teacher`: rows → soft-target store.

use std::collections::BTreeMap;
use std::path::PathBuf;

use distill_core::atomic::FileError;
use distill_core::hash::file_hash;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::{
    FileEntry, Fingerprint, LogitsRow, LogitsTable, LogitsWriter, Manifest, Shard, WriterOptions, shard_name,
};
use distill_data::source::Source;
use distill_model::{ModelConfig, ModelDirectory};
use distill_teacher::forward::default_batch_tokens;
use distill_teacher::runner::BLOCK_ROWS;
use distill_teacher::{RunStats, Runner, RunnerError};
use serde_json::{Value, json};

use crate::args::Teacher;
use crate::commands::outdir::OutDir;
use crate::commands::stage::{self, Finished, Stage};
use crate::commands::{finetune, inputs};
use crate::exit::{Failure, Status};
use crate::output::progress::seconds;
use crate::session::{Session, dtype_name};
use crate::settings::Settings;
use crate::settings::flags::Flags;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn command(args: &Teacher) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = Session::start(&args.common, &settings.runtime)?;
    stage::run_alone(&TeacherStage { settings: &settings }, &session, &args.common, &args.out, args.overwrite)
}

/// The stage with its settings.
pub struct TeacherStage<'a> {
    /// All settings; `[data]` and `[teacher]` are read.
    pub settings: &'a Settings,
}

impl TeacherStage<'_> {
    fn model(&self) -> anyhow::Result<ModelDirectory> {
        let path = inputs::required(self.settings.teacher.model.as_ref(), "--model", "teacher.model")?;
        classifier(inputs::model(path)?)
    }

    fn source(&self) -> anyhow::Result<Source> {
        let path = inputs::required(self.settings.data.train.as_ref(), "--data", "data.train")?;
        inputs::source(path, &self.settings.data)
    }
}

impl Stage for TeacherStage<'_> {
    fn command(&self) -> &'static str {
        "teacher"
    }

    fn settings(&self, session: &Session) -> anyhow::Result<Value> {
        let shard_rows = self.settings.teacher.shard_rows;
        if shard_rows == 0 || !shard_rows.is_multiple_of(BLOCK_ROWS as u64) {
            // Batches never cross a block's border, and so never a file's: a run can go on at any file.
            let message = format!("shard_rows is {shard_rows}, expected a multiple of {BLOCK_ROWS}");
            return Err(Failure::usage(message).into());
        }
        let mut data = finetune::data_settings(self.settings)?;
        if let Some(data) = data.as_object_mut() {
            data.remove("validation");
        }
        Ok(json!({"data": data, "teacher": self.settings.teacher, "dtype": dtype_name(session.kind)}))
    }

    fn inputs(&self, _session: &Session) -> anyhow::Result<BTreeMap<String, String>> {
        let model = self.model()?;
        let tokenizer = inputs::tokenizer(model.path(), self.settings.data.max_length, model.config())?;
        Ok(BTreeMap::from([
            ("model".to_owned(), model.weights_hash()?),
            ("labels".to_owned(), labels_hash(model.config())),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
            ("data".to_owned(), self.source()?.hash()?),
        ]))
    }

    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished> {
        let source = self.source()?;
        let directory = self.model()?;
        let summary = inputs::scan_labels(&source, &directory.config().labels, session)?;
        let max_length = self.settings.data.max_length;
        let tokenizer = inputs::tokenizer(directory.path(), max_length, directory.config())?;
        let fingerprint = fingerprint(record, directory.config(), max_length, session);
        let model = directory.load_classifier_as(session.device, session.kind)?;
        record.write(out.path())?;
        let mut shards = Shards::new(self.settings, out, &fingerprint, summary.rows)?;
        let done = shards.next_row;
        if done > 0 {
            tracing::info!(rows = done, "going on after the rows that are there");
        }
        let runner = runner(&model, &tokenizer, self.settings, session);
        let rest = source.rows()?.skip(usize::try_from(done).unwrap_or(usize::MAX));
        let stats = runner.run("teacher", rest, summary.rows - done, |rows| shards.write(rows))?;
        let written = shards.finish()?;
        Manifest::new(fingerprint, written, Some(summary.rows)).write(out.path())?;
        inputs::warn_truncated(stats.truncated, stats.rows, max_length);
        Ok(Finished { status: Status::Done, text: text(&stats, out), results: results(&stats) })
    }
}

/// The runner over a model, as teacher, predict and report use it.
pub fn runner<'a>(
    model: &'a distill_model::SequenceClassifier,
    tokenizer: &'a TextTokenizer,
    settings: &Settings,
    session: &'a Session,
) -> Runner<'a> {
    let batch_tokens = settings.teacher.batch_tokens.unwrap_or_else(|| default_batch_tokens(session.device));
    Runner { model, tokenizer, batch_tokens, stop: &session.stop, progress: &session.progress }
}

/// Refuses a directory whose weights carry no classification head.
///
/// # Errors
/// [`Failure`] saying what to do instead.
pub fn classifier(directory: ModelDirectory) -> anyhow::Result<ModelDirectory> {
    if directory.config().has_classifier() {
        return Ok(directory);
    }
    Err(Failure::data(format!(
        "{}: an encoder without a classification head; fine-tune it first with `distill finetune`",
        directory.path().display()
    ))
    .into())
}

/// The fingerprint of logits that this run computes.
pub fn fingerprint(
    record: &RunRecord,
    config: &ModelConfig,
    max_length: usize,
    session: &Session,
) -> Fingerprint {
    let input = |name: &str| record.inputs.get(name).cloned().unwrap_or_default();
    Fingerprint {
        format_version: Fingerprint::FORMAT_VERSION,
        teacher_weights: input("model"),
        tokenizer: input("tokenizer"),
        label_map: config.labels.clone(),
        max_length: u32::try_from(max_length).unwrap_or(u32::MAX),
        dtype: dtype_name(session.kind).to_owned(),
        dataset: input("data"),
    }
}

/// Label names lie in `config.json`, outside the weights' hash.
pub fn labels_hash(config: &ModelConfig) -> String {
    distill_core::hash::parts_hash(config.labels.names().iter().map(|name| ("label", name.as_str())))
}

/// The store's files, one open at a time.
struct Shards<'a> {
    out: &'a OutDir,
    fingerprint: &'a Fingerprint,
    options: WriterOptions,
    shard_rows: u64,
    count: usize,
    current: Option<(u64, LogitsWriter)>,
    rows_in_current: u64,
    next_row: u64,
    done: Vec<Shard>,
}

impl<'a> Shards<'a> {
    /// The files of `rows` rows, after those that an earlier part of this run finished.
    fn new(
        settings: &Settings,
        out: &'a OutDir,
        fingerprint: &'a Fingerprint,
        rows: u64,
    ) -> anyhow::Result<Self> {
        let teacher = &settings.teacher;
        let options =
            WriterOptions { with_text: teacher.text, float16: teacher.float16, ..WriterOptions::default() };
        let mut shards = Shards {
            out,
            fingerprint,
            options,
            shard_rows: teacher.shard_rows,
            count: usize::try_from(rows.div_ceil(teacher.shard_rows)).unwrap_or(usize::MAX).max(1),
            current: None,
            rows_in_current: 0,
            next_row: 0,
            done: Vec::new(),
        };
        while shards.done.len() < shards.count && shards.take_finished()? {}
        Ok(shards)
    }

    fn path(&self) -> PathBuf {
        self.out.path().join(shard_name(self.done.len(), self.count))
    }

    /// Takes over the next file where an earlier part of this run wrote it: files appear whole.
    fn take_finished(&mut self) -> anyhow::Result<bool> {
        let path = self.path();
        if !self.out.is_resumed() || !path.exists() {
            return Ok(false);
        }
        let table = LogitsTable::open(&path)?;
        match table.fingerprint() {
            Some(found) => self.fingerprint.must_equal("this run", found, &path.display().to_string())?,
            None => return Ok(false),
        }
        let file = FileEntry {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            rows: table.num_rows().unwrap_or(0),
            bytes: std::fs::metadata(&path).map_err(FileError::of("read", &path))?.len(),
            blake3: file_hash(&path).map_err(FileError::of("read", &path))?,
        };
        let first_row = self.next_row;
        self.next_row += file.rows;
        self.done.push(Shard { file, first_row });
        Ok(true)
    }

    fn write(&mut self, mut rows: &[LogitsRow]) -> Result<(), RunnerError> {
        while !rows.is_empty() {
            if self.current.is_none() {
                let path = self.out.path().join(shard_name(self.done.len(), self.count));
                self.current =
                    Some((self.next_row, LogitsWriter::create(&path, self.fingerprint, self.options)?));
            }
            let room = usize::try_from(self.shard_rows - self.rows_in_current).unwrap_or(usize::MAX);
            let (now, later) = rows.split_at(room.min(rows.len()));
            if let Some((_, writer)) = &mut self.current {
                writer.write(now)?;
            }
            self.rows_in_current += now.len() as u64;
            self.next_row += now.len() as u64;
            if self.rows_in_current == self.shard_rows {
                self.close()?;
            }
            rows = later;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        if let Some((first_row, writer)) = self.current.take() {
            self.done.push(Shard { file: writer.finish()?, first_row });
            self.rows_in_current = 0;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Shard>, RunnerError> {
        self.close()?;
        Ok(self.done)
    }
}

fn text(stats: &RunStats, out: &OutDir) -> String {
    format!(
        "{} rows, {} tokens in {} ({:.0} rows/s, {:.0} tokens/s)\nsoft targets: {}",
        stats.rows,
        stats.tokens,
        seconds(std::time::Duration::from_secs_f64(stats.seconds)),
        stats.rows_per_second(),
        stats.tokens as f64 / stats.seconds.max(1e-9),
        out.path().display()
    )
}

/// Figures of a pass for `run.json`.
pub fn results(stats: &RunStats) -> BTreeMap<String, Value> {
    [
        ("rows", json!(stats.rows)),
        ("tokens", json!(stats.tokens)),
        ("truncated", json!(stats.truncated)),
        ("empty", json!(stats.empty)),
        ("seconds", json!(stats.seconds)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
