//! `distill predict`: a classifier over rows, labels and logits to one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::atomic;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::{LogitsWriter, WriterOptions};
use distill_data::source::Source;
use distill_model::ModelDirectory;
use distill_teacher::RunStats;

use crate::error::{Result, RunError};
use crate::inputs::Scanned;
use crate::outfile::{self, Kind};
use crate::predict_files::{Format, TextWriter};
use crate::session::Session;
use crate::settings::{DataSettings, Settings};
use crate::{inference, inputs, length};

/// What is to be predicted, with everything opened and hashed.
pub struct Prediction<'a> {
    settings: &'a Settings,
    session: &'a Session,
    out: &'a Path,
    format: Format,
    directory: ModelDirectory,
    source: Source,
    tokenizer: TextTokenizer,
    max_length: usize,
    record: RunRecord,
}

impl<'a> Prediction<'a> {
    /// Opens the classifier of `[teacher] model` and the rows of `[data] train`, to be written to `out`, whose ending says
    /// the format.
    ///
    /// # Errors
    /// Where an input is missing or cannot be read, and where the file may not be written.
    pub fn prepare(
        settings: &'a Settings,
        session: &'a Session,
        out: &'a Path,
        overwrite: bool,
    ) -> Result<Self> {
        let format = Format::of(out)?;
        let reads: Vec<PathBuf> =
            [&settings.teacher.model, &settings.data.train].into_iter().flatten().cloned().collect();
        check_out(out, format, overwrite, &reads)?;
        let directory = inputs::classifier(inputs::model(inputs::required(
            settings.teacher.model.as_ref(),
            "--model",
            "teacher.model",
        )?)?)?;
        let task = inputs::problem_type(directory.config(), &settings.data)?;
        let rows = inputs::required(settings.data.train.as_ref(), "--data", "data.train")?;
        let source = inputs::source(rows, &settings.data, task)?;
        let max_length = length::of_model(settings.data.max_length, directory.path(), directory.config())?;
        let tokenizer = inputs::tokenizer_for(task, directory.path(), max_length, directory.config())?;
        let read = DataSettings { max_length: Some(max_length), ..settings.data.clone() };
        let record = RunRecord {
            format_version: RunRecord::FORMAT_VERSION,
            command: "predict".to_owned(),
            settings: serde_json::to_value(read)?,
            versions: session.versions(),
            device: session.device_record(),
            inputs: BTreeMap::from([
                ("model".to_owned(), directory.weights_hash()?),
                ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
                ("data".to_owned(), source.hash()?),
            ]),
            results: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        Ok(Prediction { settings, session, out, format, directory, source, tokenizer, max_length, record })
    }

    /// What would be done.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Runs the classifier over all rows and writes the file, which appears when it is whole.
    ///
    /// # Errors
    /// Whatever stopped it.
    pub fn run(self) -> Result<RunStats> {
        let Prediction { settings, session, out, format, record, tokenizer, max_length, .. } = self;
        atomic::remove_left_overs(out);
        // From here on, the inputs must have the hashes above.
        let source = self.source.holding(inputs::recorded(&record, "data"));
        let directory = self.directory.holding(inputs::recorded(&record, "model"));
        let labels = directory.config().labels.clone();
        let Scanned { source, summary } = inputs::scan_labels(&source, &labels, session)?;
        let rows = summary.rows;
        let model = directory.load_classifier_as(session.device, session.kind)?;
        let runner = inference::runner(&model, &tokenizer, settings, session);
        let stats = match format {
            Format::Parquet => {
                let fingerprint = inference::fingerprint(&record, directory.config(), max_length, session)?;
                let mut writer = LogitsWriter::create(out, &fingerprint, WriterOptions::default())?;
                let stats = runner.run("predict", source.rows()?, rows, |rows| Ok(writer.write(rows)?))?;
                writer.finish()?;
                stats
            }
            Format::Jsonl | Format::Csv => {
                let mut writer =
                    TextWriter::create(out, format, &labels, directory.config().problem_type, &tokenizer)?;
                let stats = runner.run("predict", source.rows()?, rows, |rows| writer.write(rows))?;
                writer.finish()?;
                stats
            }
        };
        inputs::warn_truncated(stats.truncated, stats.rows, max_length);
        inputs::warn_unknown(stats.unknown, stats.tokens);
        inputs::warn_without_tokens(&stats);
        Ok(stats)
    }
}

/// Refuses a place where the file cannot be made, or holds one already, before any work is done for it.
fn check_out(out: &Path, format: Format, overwrite: bool, reads: &[PathBuf]) -> Result<()> {
    let refuse = |what: &str| Err(RunError::cannot_create(format!("{} {what}", out.display())));
    if out.is_dir() {
        return refuse("is a directory; expected a file name");
    }
    if out.exists() && !overwrite {
        return refuse("exists; give --overwrite to replace it");
    }
    let kind = match format {
        Format::Parquet => Kind::Parquet,
        Format::Jsonl => Kind::Jsonl,
        Format::Csv => Kind::Csv,
    };
    outfile::check(out, kind, reads)?;
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            refuse("cannot be created: its directory does not exist")
        }
        _ => Ok(()),
    }
}
