//! `distill teacher`: rows → soft-target store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::{Manifest, ShardSpec};
use distill_data::source::Source;
use distill_model::ModelDirectory;
use distill_teacher::RunStats;
use distill_teacher::runner::BLOCK_ROWS;
use serde_json::json;

use crate::error::{Result, RunError, Status};
use crate::figures::seconds;
use crate::inputs::Scanned;
use crate::outdir::names::PROGRESS_FILE;
use crate::outdir::{Found, OutDir};
use crate::session::{Session, dtype_name};
use crate::settings::Settings;
use crate::stage::{self, Finished, Prepared, Stage};
use crate::store_files::StoreFiles;
use crate::{inference, inputs, length};

/// Shards have their own directories, which cannot share a directory with a store of all rows.
///
/// # Errors
/// Output that cannot be made, with the directory.
pub fn refuse_store(out: &Path) -> Result<()> {
    match OutDir::look(out)? {
        Found::Run(_) => Err(RunError::cannot_create(format!(
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
    pub shard: ShardSpec,
}

/// What the stage reads, opened and resolved once.
struct Opened {
    directory: ModelDirectory,
    tokenizer: TextTokenizer,
    source: Source,
}

impl TeacherStage<'_> {
    fn open(&self) -> Result<Opened> {
        let data = &self.settings.data;
        let path = inputs::required(self.settings.teacher.model.as_ref(), "--model", "teacher.model")?;
        let directory = inputs::classifier(inputs::model(path)?)?;
        let config = directory.config();
        let max_length = length::of_model(data.max_length, directory.path(), config)?;
        let tokenizer = inputs::tokenizer_for(config.problem_type, directory.path(), max_length, config)?;
        let rows = inputs::required(data.train.as_ref(), "--data", "data.train")?;
        let source = inputs::source(rows, data, inputs::problem_type(config, data)?)?;
        Ok(Opened { directory, tokenizer, source })
    }

    fn label(&self, opened: Opened, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        let Opened { directory, tokenizer, source } = opened;
        let source = source.holding(inputs::recorded(record, "data"));
        let directory = directory.holding(inputs::recorded(record, "model"));
        // The scan reads all rows and compares their hash; from then on the files must stay as they were before it.
        let seen = source.seen()?;
        let Scanned { source, summary } = inputs::scan_labels(&source, &directory.config().labels, session)?;
        let unchanged = || source.must_be(&seen);
        unchanged()?;
        let max_length = tokenizer.max_length();
        let fingerprint = inference::fingerprint(record, directory.config(), max_length, session)?;
        let model = directory.load_classifier_as(session.device, session.kind)?;
        record.write(out.path())?;
        let rows = self.shard.rows(summary.rows, BLOCK_ROWS as u64);
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
        inputs::warn_without_tokens(&stats);
        let mut results = inference::results(&stats);
        // Of the store, also where an earlier part of this run computed some of them.
        results.insert("rows".to_owned(), manifest.rows.into());
        Ok(Finished { status: Status::Done, text: text(&stats, out), results })
    }
}

/// Refuses files of a store that end inside a block.
///
/// # Errors
/// Wrong usage, with the number of rows.
pub fn check_shard_rows(settings: &Settings) -> Result<()> {
    let shard_rows = settings.teacher.shard_rows;
    if shard_rows == 0 || !shard_rows.is_multiple_of(BLOCK_ROWS as u64) {
        // Batches never cross a block's border, and so never a file's: a run can resume at any file.
        return Err(RunError::usage(format!(
            "shard_rows is {shard_rows}, expected a multiple of {BLOCK_ROWS}"
        )));
    }
    Ok(())
}

impl Stage for TeacherStage<'_> {
    fn command(&self) -> &'static str {
        "teacher"
    }

    fn prepare(&self, session: &Session) -> Result<Prepared<'_>> {
        check_shard_rows(self.settings)?;
        let opened = self.open()?;
        let Opened { directory, tokenizer, source } = &opened;
        let mut data = inputs::data_settings(self.settings, Some(tokenizer.max_length()))?;
        if let Some(data) = data.as_object_mut() {
            data.remove("validation");
        }
        let mut settings =
            json!({"data": data, "teacher": self.settings.teacher, "dtype": dtype_name(session.kind)});
        if !self.shard.is_whole() {
            settings["shard"] = self.shard.to_string().into();
        }
        let hashes = BTreeMap::from([
            ("model".to_owned(), directory.weights_hash()?),
            ("labels".to_owned(), inference::labels_hash(directory.config())),
            ("tokenizer".to_owned(), tokenizer.hash().to_owned()),
            ("data".to_owned(), source.hash()?),
        ]);
        Ok(Prepared::new(settings, hashes, |session, out, record| self.label(opened, session, out, record)))
    }

    fn reads(&self) -> Vec<PathBuf> {
        [&self.settings.teacher.model, &self.settings.data.train].into_iter().flatten().cloned().collect()
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn missing(&self, out: &Path) -> Result<Option<String>> {
        stage::unusable_store(out)
    }

    fn clean_up(&self, out: &OutDir) -> Result<()> {
        out.remove_progress()
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
