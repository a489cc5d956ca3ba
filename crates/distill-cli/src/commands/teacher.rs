//! `distill teacher`: rows → soft-target store.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::{Fingerprint, Manifest, Portion};
use distill_data::source::Source;
use distill_model::{ModelConfig, ModelDirectory};
use distill_teacher::forward::default_batch_tokens;
use distill_teacher::runner::BLOCK_ROWS;
use distill_teacher::{RunStats, Runner};
use serde_json::{Value, json};

use crate::args::Teacher;
use crate::commands::outdir::{Found, OutDir};
use crate::commands::stage::{self, Finished, Stage};
use crate::commands::store_files::StoreFiles;
use crate::commands::{finetune, inputs, shard};
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
    let portion = shard::choose(args.shard)?;
    let stage = TeacherStage { settings: &settings, portion };
    if !portion.is_whole() {
        refuse_store(&args.out)?;
    }
    stage::run_alone(&stage, &session, &args.common, &portion.directory(&args.out), args.overwrite)
}

/// Shards have directories of their own, beside which no store of all rows can stand.
fn refuse_store(out: &Path) -> anyhow::Result<()> {
    match OutDir::look(out)? {
        Found::Run(_) => bail!(Failure::cannot_create(format!(
            "{} holds a run over all rows; choose another directory for the shards",
            out.display()
        ))),
        _ => Ok(()),
    }
}

/// The stage with its settings.
pub struct TeacherStage<'a> {
    /// All settings; `[data]` and `[teacher]` are read.
    pub settings: &'a Settings,
    /// Which of the rows.
    pub portion: Portion,
}

impl TeacherStage<'_> {
    fn model(&self) -> anyhow::Result<ModelDirectory> {
        let path = inputs::required(self.settings.teacher.model.as_ref(), "--model", "teacher.model")?;
        classifier(inputs::model(path)?)
    }

    fn source(&self) -> anyhow::Result<Source> {
        let path = inputs::required(self.settings.data.train.as_ref(), "--data", "data.train")?;
        let model = self.model()?;
        inputs::source(path, &self.settings.data, inputs::problem_type(model.config(), &self.settings.data)?)
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
        let mut settings =
            json!({"data": data, "teacher": self.settings.teacher, "dtype": dtype_name(session.kind)});
        if !self.portion.is_whole() {
            settings["shard"] = self.portion.to_string().into();
        }
        Ok(settings)
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
        let rows = self.portion.rows(summary.rows, BLOCK_ROWS as u64);
        let mut files = StoreFiles::new(&self.settings.teacher, out, &fingerprint, rows.clone())?;
        let next = files.next_row();
        if next > rows.start {
            tracing::info!(rows = next - rows.start, "going on after the rows that are there");
        }
        let runner = runner(&model, &tokenizer, self.settings, session);
        let as_size = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let rest = source.rows()?.skip(as_size(next)).take(as_size(rows.end - next));
        let stats = runner.run("teacher", rest, rows.end - next, |rows| files.write(rows))?;
        let files = files.finish()?;
        let manifest = Manifest::new(fingerprint, files, Some(summary.rows));
        manifest.write(out.path())?;
        out.forget_progress()?;
        inputs::warn_truncated(stats.truncated, stats.rows, max_length);
        let mut results = results(&stats);
        // Of the store, also where an earlier part of this run computed some of them.
        results.insert("rows".to_owned(), manifest.rows.into());
        Ok(Finished { status: Status::Done, text: text(&stats, out), results })
    }

    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>> {
        stage::unusable_store(out)
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
        problem_type: config.problem_type,
        max_length: u32::try_from(max_length).unwrap_or(u32::MAX),
        dtype: dtype_name(session.kind).to_owned(),
        dataset: input("data"),
    }
}

/// Label names lie in `config.json`, outside the weights' hash.
pub fn labels_hash(config: &ModelConfig) -> String {
    let labels = config.labels.names().iter().map(|name| ("label", name.as_str()));
    // Left out for one class a row, so that earlier passes stay what they are.
    let kind = (!config.problem_type.is_single_label()).then(|| ("problem_type", config.problem_type.name()));
    distill_core::hash::parts_hash(labels.chain(kind))
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
