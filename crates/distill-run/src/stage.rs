//! What all stages share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::Category;
use distill_core::record::RunRecord;
use distill_data::logits::Store;
use serde_json::Value;

use crate::error::{Result, Status};
use crate::outdir::OutDir;
use crate::session::Session;

/// A step of the pipeline.
pub trait Stage {
    /// Its subcommand.
    fn command(&self) -> &'static str;

    /// Resolves the settings, opens and hashes everything it reads: what is wrong is found here, before any work.
    ///
    /// # Errors
    /// Settings that do not go together; where an input is missing or cannot be read.
    fn prepare(&self, session: &Session) -> Result<Prepared<'_>>;

    /// The files and directories that it reads: it never writes to them, and they must not change while it runs.
    fn reads(&self) -> Vec<PathBuf>;

    /// Whether it works in its directory itself where no finished result lies there, so that its course can be watched
    /// and a part of its result is kept.
    fn works_in_place(&self) -> bool {
        false
    }

    /// What is missing from a finished result in `out`, in words, or none: a record without files is not a result.
    ///
    /// # Errors
    /// Where the system refuses to read: what cannot be read now may be whole.
    fn missing(&self, out: &Path) -> Result<Option<String>>;

    /// Hands the finished result to others, such as a CI job's summary; also where it was up to date.
    ///
    /// # Errors
    /// Where something cannot be written.
    fn publish(&self, _session: &Session, _out: &Path) -> Result<()> {
        Ok(())
    }

    /// What `--json` prints.
    ///
    /// # Errors
    /// Where it cannot be read back.
    fn json(&self, _out: &Path, finished: &Finished) -> Result<String> {
        Ok(serde_json::to_string_pretty(&finished.results)?)
    }

    /// Removes what only an unfinished run needs.
    ///
    /// # Errors
    /// Where it cannot be removed.
    fn clean_up(&self, _out: &OutDir) -> Result<()> {
        Ok(())
    }

    /// Whether a finished directory still holds what [`Stage::clean_up`] removes.
    fn has_left_overs(&self, _out: &Path) -> bool {
        false
    }
}

/// The work of a stage whose inputs are open: into its directory, with the record that it writes as soon as its inputs are
/// known to be good. From then on the run can be resumed.
pub type Work<'a> = dyn FnOnce(&Session, &OutDir, &RunRecord) -> Result<Finished> + 'a;

/// A stage with its settings resolved and its inputs open.
pub struct Prepared<'a> {
    /// The settings that its result depends on, for `run.json`.
    pub settings: Value,
    /// Hashes of all inputs, by the kind of input.
    pub inputs: BTreeMap<String, String>,
    work: Box<Work<'a>>,
}

impl<'a> Prepared<'a> {
    /// A stage that does `work`, which depends on these settings and inputs.
    pub fn new(
        settings: Value,
        inputs: BTreeMap<String, String>,
        work: impl FnOnce(&Session, &OutDir, &RunRecord) -> Result<Finished> + 'a,
    ) -> Self {
        Prepared { settings, inputs, work: Box::new(work) }
    }

    /// Does the work; the figures go into `run.json`.
    ///
    /// # Errors
    /// Whatever stopped it.
    pub fn execute(self, session: &Session, out: &OutDir, record: &RunRecord) -> Result<Finished> {
        (self.work)(session, out, record)
    }
}

/// The result of a stage besides its files.
pub struct Finished {
    /// How it ended.
    pub status: Status,
    /// Figures for `run.json`.
    pub results: BTreeMap<String, Value>,
    /// What to print on stdout for people.
    pub text: String,
}

/// The first of these files that is not in `out`.
pub fn first_missing(out: &Path, names: &[&str]) -> Option<String> {
    names.iter().find(|name| !out.join(name).is_file()).map(|name| format!("{name} is missing"))
}

/// Why a directory is no longer a store, or none.
///
/// # Errors
/// Where the system refuses to read.
pub fn unusable_store(out: &Path) -> Result<Option<String>> {
    match Store::open(out) {
        Ok(_) => Ok(None),
        Err(error) if error.category() == Category::Io => Err(error.into()),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// Keys of `results` that every stage has: what it printed, and whether a gate failed.
pub(crate) const TEXT: &str = "text";
pub(crate) const GATE_FAILED: &str = "gate_failed";

impl Finished {
    /// What a stage that is up to date printed when it ran.
    pub fn from_record(done: &RunRecord) -> Self {
        let failed = done.results.get(GATE_FAILED).and_then(Value::as_bool) == Some(true);
        let text = done.results.get(TEXT).and_then(Value::as_str).unwrap_or_default().to_owned();
        let status = if failed { Status::GateFailed } else { Status::Done };
        Finished { status, text, results: done.results.clone() }
    }
}
