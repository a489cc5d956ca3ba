//! `distill teacher`: rows → soft-target store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;
use distill_core::record::RunRecord;
use distill_data::logits::{Manifest, Portion};
use distill_data::source::Source;
use distill_model::ModelDirectory;
use distill_teacher::RunStats;
use distill_teacher::runner::BLOCK_ROWS;
use serde_json::{Value, json};

use crate::error::{Failure, Status};
use crate::figures::seconds;
use crate::inputs::Scanned;
use crate::outdir::{Found, OutDir};
use crate::session::{Session, dtype_name};
use crate::settings::Settings;
use crate::stage::{self, Finished, Stage};
use crate::store_files::{PROGRESS_FILE, StoreFiles};
use crate::{inference, inputs, length};

/// Shards have their own directories, which cannot share a directory with a store of all rows.
///
/// # Errors
/// Output that cannot be made, with the directory.
pub fn refuse_store(out: &Path) -> anyhow::Result<()> {
    match OutDir::look(out)? {
        Found::Run(_) => bail!(Failure::cannot_create(format!(
            "{} contains a run over all rows; choose another directory for the shards",
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
        inputs::classifier(inputs::model(path)?)
    }

    fn max_length(&self, model: &ModelDirectory) -> anyhow::Result<usize> {
        length::of_model(self.settings.data.max_length, model.path(), model.config())
    }

    fn source(&self) -> anyhow::Result<Source> {
        let path = inputs::required(self.settings.data.train.as_ref(), "--data", "data.train")?;
        let model = self.model()?;
        inputs::source(path, &self.settings.data, inputs::problem_type(model.config(), &self.settings.data)?)
    }
}

/// Refuses files of a store that end inside a block.
///
/// # Errors
/// Wrong usage, with the number of rows.
pub fn check_shard_rows(settings: &Settings) -> anyhow::Result<()> {
    let shard_rows = settings.teacher.shard_rows;
    if shard_rows == 0 || !shard_rows.is_multiple_of(BLOCK_ROWS as u64) {
        // Batches never cross a block's border, and so never a file's: a run can resume at any file.
        bail!(Failure::usage(format!("shard_rows is {shard_rows}, expected a multiple of {BLOCK_ROWS}")));
    }
    Ok(())
}

impl Stage for TeacherStage<'_> {
    fn command(&self) -> &'static str {
        "teacher"
    }

    fn settings(&self, session: &Session) -> anyhow::Result<Value> {
        check_shard_rows(self.settings)?;
        let mut data = inputs::data_settings(self.settings, Some(self.max_length(&self.model()?)?))?;
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
        let tokenizer = inputs::tokenizer(model.path(), self.max_length(&model)?, model.config())?;
        Ok(BTreeMap::from([
            ("model".to_owned(), model.weights_hash()?),
            ("labels".to_owned(), inference::labels_hash(model.config())),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
            ("data".to_owned(), self.source()?.hash()?),
        ]))
    }

    fn reads(&self) -> Vec<PathBuf> {
        [&self.settings.teacher.model, &self.settings.data.train].into_iter().flatten().cloned().collect()
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished> {
        let source = self.source()?.holding(inputs::recorded(record, "data"));
        let directory = self.model()?.holding(inputs::recorded(record, "model"));
        // The scan reads all rows and compares their hash; from then on the files must stay as they were before it.
        let seen = source.seen()?;
        let Scanned { source, summary } = inputs::scan_labels(&source, &directory.config().labels, session)?;
        let unchanged = || source.must_be(&seen);
        unchanged()?;
        let max_length = self.max_length(&directory)?;
        let tokenizer = inputs::tokenizer(directory.path(), max_length, directory.config())?;
        inputs::must_be_recorded(record, "tokenizer", tokenizer.hash(), directory.path())?;
        let labels = inference::labels_hash(directory.config());
        inputs::must_be_recorded(record, "labels", &labels, directory.path())?;
        let fingerprint = inference::fingerprint(record, directory.config(), max_length, session)?;
        let model = directory.load_classifier_as(session.device, session.kind)?;
        record.write(out.path())?;
        let rows = self.portion.rows(summary.rows, BLOCK_ROWS as u64);
        let mut files = StoreFiles::new(&self.settings.teacher, out, &fingerprint, rows.clone(), &unchanged)?;
        let next = files.next_row();
        if next > rows.start {
            tracing::info!(rows = next - rows.start, "resuming after the rows that are already written");
        }
        let runner = inference::runner(&model, &tokenizer, self.settings, session);
        let as_size = |rows: u64| usize::try_from(rows).unwrap_or(usize::MAX);
        let rest = source.rows()?.skip(as_size(next)).take(as_size(rows.end - next));
        let stats = runner.run("teacher", rest, rows.end - next, |rows| files.write(rows))?;
        let files = files.finish()?;
        let manifest = Manifest::new(fingerprint, files, Some(summary.rows));
        manifest.write(out.path())?;
        inputs::warn_truncated(stats.truncated, stats.rows, max_length);
        inputs::warn_unknown(stats.unknown, stats.tokens);
        let mut results = inference::results(&stats);
        // Of the store, also where an earlier part of this run computed some of them.
        results.insert("rows".to_owned(), manifest.rows.into());
        Ok(Finished { status: Status::Done, text: text(&stats, out), results })
    }

    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>> {
        stage::unusable_store(out)
    }

    fn clean_up(&self, out: &OutDir) -> anyhow::Result<()> {
        out.forget_progress()
    }

    fn has_left_overs(&self, out: &Path) -> bool {
        out.join(PROGRESS_FILE).exists()
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
        out.target().display()
    )
}
