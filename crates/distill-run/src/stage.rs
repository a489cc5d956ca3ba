//! The common part of finetune, teacher, student and report: what they would do, whether that was done
//! already, and the record of it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use distill_core::Category;
use distill_core::atomic::FileError;
use distill_core::record::RunRecord;
use distill_data::logits::Store;
use distill_student::checkpoint::CHECKPOINTS;
use serde_json::Value;
use tracing::trace_span;

use crate::claim::{Claim, Replace, claim};
use crate::error::{self, Failure, Status};
use crate::outdir::{OutDir, overlap};
use crate::session::Session;
use crate::store_files::PROGRESS_FILE;
use crate::timeline;

/// A step of the pipeline.
pub trait Stage {
    /// Its subcommand.
    fn command(&self) -> &'static str;

    /// The settings that its result depends on, for `run.json`.
    fn settings(&self, session: &Session) -> anyhow::Result<Value>;

    /// Hashes of all inputs, by the kind of input.
    ///
    /// # Errors
    /// Where an input is missing or cannot be read.
    fn inputs(&self, session: &Session) -> anyhow::Result<BTreeMap<String, String>>;

    /// The files and directories that it reads: it never writes to them, and they must not change while it runs.
    fn reads(&self) -> Vec<PathBuf>;

    /// Whether it works in its directory itself where no finished result lies there, so that its course can be watched
    /// and a part of its result is kept.
    fn works_in_place(&self) -> bool {
        false
    }

    /// Does the work into `out`; the figures go into `run.json`. Writes `record` as soon as its inputs
    /// are known to be good: from then on the run can be resumed.
    ///
    /// # Errors
    /// Whatever stopped it.
    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished>;

    /// What is missing from a finished result in `out`, in words, or none: a record without files is not a result.
    ///
    /// # Errors
    /// Where the system refuses to read: what cannot be read now may be whole.
    fn missing(&self, out: &Path) -> anyhow::Result<Option<String>>;

    /// Hands the finished result to others, such as a CI job's summary; also where it was up to date.
    ///
    /// # Errors
    /// Where something cannot be written.
    fn publish(&self, _session: &Session, _out: &Path) -> anyhow::Result<()> {
        Ok(())
    }

    /// What `--json` prints.
    ///
    /// # Errors
    /// Where it cannot be read back.
    fn json(&self, _out: &Path, finished: &Finished) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(&finished.results)?)
    }

    /// Removes what only an unfinished run needs.
    ///
    /// # Errors
    /// Where it cannot be removed.
    fn clean_up(&self, _out: &OutDir) -> anyhow::Result<()> {
        Ok(())
    }

    /// Whether a finished directory still holds what [`Stage::clean_up`] removes.
    fn has_left_overs(&self, _out: &Path) -> bool {
        false
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

/// The record of a stage as it would be run now, without results.
///
/// # Errors
/// Where an input is missing or cannot be read.
pub fn plan(stage: &dyn Stage, session: &Session) -> anyhow::Result<RunRecord> {
    let _span = trace_span!(target: timeline::TARGET, "hash").entered();
    Ok(RunRecord {
        format_version: RunRecord::FORMAT_VERSION,
        command: stage.command().to_owned(),
        settings: stage.settings(session)?,
        versions: session.versions(),
        device: session.device_record(),
        inputs: stage.inputs(session)?,
        results: BTreeMap::new(),
        files: BTreeMap::new(),
    })
}

/// What has to be done for a planned stage, given what its directory holds.
pub enum Todo {
    /// Nothing: the result is up to date.
    Nothing(Box<RunRecord>),
    /// The rest of a run that was stopped.
    Rest {
        /// Whether it was made apart from the directory's own result.
        is_staged: bool,
    },
    /// Its result is whole, and has to take its place.
    Settle(Box<RunRecord>),
    /// All of it once more: this very run was finished, and a part of its result is gone.
    Again(String),
    /// All of it; why it is not done.
    All(String),
}

/// The first of these files that is not in `out`.
pub fn first_missing(out: &Path, names: &[&str]) -> Option<String> {
    names.iter().find(|name| !out.join(name).is_file()).map(|name| format!("{name} is missing"))
}

/// Why a directory is no longer a store, or none.
///
/// # Errors
/// Where the system refuses to read.
pub fn unusable_store(out: &Path) -> anyhow::Result<Option<String>> {
    match Store::open(out) {
        Ok(_) => Ok(None),
        Err(error) if error.category() == Category::Io => Err(error.into()),
        Err(error) => Ok(Some(error.to_string())),
    }
}

/// What a stage would do in `out` by itself: its record, without results.
///
/// # Errors
/// Where an input is missing or cannot be read; [`Failure`] where the directory holds something else.
pub fn dry_run(stage: &dyn Stage, session: &Session, out: &Path, overwrite: bool) -> anyhow::Result<RunRecord> {
    overlap::check(&stage.reads(), out)?;
    if !overwrite {
        OutDir::refuse_foreign(out)?;
    }
    plan(stage, session)
}

/// Runs one stage by itself. If its result is up to date, nothing is done; a stopped one is resumed. What is to be
/// written elsewhere is left to [`Stage::publish`].
///
/// # Errors
/// Whatever stopped it; [`Failure`] where the directory holds another run.
pub fn run_alone(
    stage: &dyn Stage,
    session: &Session,
    out: &Path,
    overwrite: bool,
) -> anyhow::Result<Finished> {
    let replace = if overwrite { Replace::All } else { Replace::Never };
    match claim(stage, session, out, replace)? {
        Claim::Run { planned, out, .. } => run_into(stage, session, out, *planned),
        Claim::UpToDate(done) => {
            session.messages.status(&format!("{} is up to date; --overwrite repeats it", out.display()));
            Ok(Finished::from_record(&done))
        }
    }
}

/// Runs a planned stage and writes its record with results last: that is the completion mark.
///
/// # Errors
/// Whatever stopped it.
pub fn run_into(
    stage: &dyn Stage,
    session: &Session,
    mut out: OutDir,
    mut record: RunRecord,
) -> anyhow::Result<Finished> {
    if out.is_resumed() {
        tracing::info!("resuming the run in {}", out.target().display());
    }
    let mut finished = match stage.execute(session, &out, &record) {
        Ok(finished) => finished,
        Err(error) => {
            // A failure that would repeat does not leave a run to resume.
            if !out.is_resumed() && !can_go_on(&error) {
                out.forget()?;
            }
            return Err(if is_full(&error) { error.context(after_a_full_disk(&out)) } else { error });
        }
    };
    if let Some(changed) = changed_input(stage, session, &out, &record) {
        out.discard()?;
        return Err(Failure::data(changed).into());
    }
    record.results.clone_from(&finished.results);
    record.results.insert(TEXT.to_owned(), finished.text.clone().into());
    record.results.insert(GATE_FAILED.to_owned(), (finished.status == Status::GateFailed).into());
    out.complete(&mut record)?;
    stage.clean_up(&out)?;
    out.settle()?;
    finished.results = record.results;
    Ok(finished)
}

/// What is to be said of an input that is another one now than when the run began. One that was only touched, or written
/// again as it was, is the same.
fn changed_input(stage: &dyn Stage, session: &Session, out: &OutDir, record: &RunRecord) -> Option<String> {
    let file = out.changed_input()?;
    match stage.inputs(session) {
        Ok(inputs) if inputs == record.inputs => None,
        _ => Some(format!(
            "{} changed while it was read, so the result was discarded; run the command again",
            file.display()
        )),
    }
}

/// Whether the same command may get further than this failure: it was stopped, the disk was full, or a
/// directory did not let it write.
fn can_go_on(error: &anyhow::Error) -> bool {
    matches!(error::category(error), Category::Stopped | Category::Io | Category::CannotCreate)
}

/// Whether there was no more space, on the disk or for this user.
fn is_full(error: &anyhow::Error) -> bool {
    let is_full = |kind| matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    error.chain().any(|cause| {
        let file = cause.downcast_ref::<FileError>().map(|error| error.source.kind());
        let system = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        file.or(system).is_some_and(is_full)
    })
}

/// What to do when a disk is full, depending on the content of the directory.
fn after_a_full_disk(out: &OutDir) -> String {
    let kept = [CHECKPOINTS, PROGRESS_FILE].iter().any(|name| out.path().join(name).exists());
    let then = if kept {
        "which resumes from the last checkpoint"
    } else {
        "which starts from the beginning, because no checkpoint was written"
    };
    format!("the disk is full: free some space and run the same command again, {then}")
}

/// Keys of `results` that every stage has: what it printed, and whether a gate failed.
const TEXT: &str = "text";
const GATE_FAILED: &str = "gate_failed";

impl Finished {
    /// What a stage that is up to date printed when it ran.
    pub fn from_record(done: &RunRecord) -> Self {
        let failed = done.results.get(GATE_FAILED).and_then(Value::as_bool) == Some(true);
        let text = done.results.get(TEXT).and_then(Value::as_str).unwrap_or_default().to_owned();
        let status = if failed { Status::GateFailed } else { Status::Done };
        Finished { status, text, results: done.results.clone() }
    }
}

/// Why the result, or the beginning, of a stage is out of date; none if it is not.
pub fn stale(done: &RunRecord, planned: &RunRecord) -> Option<String> {
    if done.command != planned.command || done.format_version != planned.format_version {
        return Some(format!("it is a result of {}", done.command));
    }
    if let Some(what) = first_change(&done.versions, &planned.versions) {
        return Some(format!("version of {what}"));
    }
    if let Some(what) = first_change(&done.inputs, &planned.inputs) {
        return Some(format!("input {what}"));
    }
    let (old, new) = (without_paths(&done.settings), without_paths(&planned.settings));
    changed_setting("", &old, &new).map(|what| format!("setting {what}"))
}

/// `name: old → new` of the first entry that differs.
fn first_change(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Option<String> {
    let short = |value: Option<&String>| match value {
        Some(hash) if hash.len() == 64 => format!("{}…", &hash[..12]),
        Some(value) => value.clone(),
        None => "none".to_owned(),
    };
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    let name = names.into_iter().find(|name| old.get(*name) != new.get(*name))?;
    Some(format!("{name} changed: {} → {}", short(old.get(name)), short(new.get(name))))
}

/// The path of a file is no reason to run again: its hash is among the inputs. Neither is how
/// often a run saves itself.
fn without_paths(settings: &Value) -> Value {
    const PATHS: &[&str] = &[
        "train",
        "test",
        "model",
        "masked_model",
        "unlabelled",
        "init",
        "targets",
        "tokenizer",
        "teacher_model",
        "baseline_init",
        "checkpoint_steps",
        "checkpoint_minutes",
        "keep_last",
        "junit",
    ];
    match settings {
        Value::Object(map) => map
            .iter()
            .filter(|(key, value)| value.is_object() || !PATHS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), without_paths(value)))
            .collect(),
        other => other.clone(),
    }
}

fn changed_setting(prefix: &str, old: &Value, new: &Value) -> Option<String> {
    if old == new {
        return None;
    }
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
        names.sort();
        names.dedup();
        return names.into_iter().find_map(|name| {
            let of = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
            changed_setting(&path, &of(old), &of(new))
        });
    }
    Some(format!("{prefix} changed: {old} → {new}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn record() -> RunRecord {
        RunRecord {
            format_version: RunRecord::FORMAT_VERSION,
            command: "student".to_owned(),
            settings: json!({"data": {"train": "a.jsonl", "max_length": 32}, "student": {"epochs": 3, "init": "m"}}),
            versions: [("distill".to_owned(), "0.1.0".to_owned())].into(),
            device: BTreeMap::new(),
            inputs: [("data".to_owned(), "a".repeat(64))].into(),
            results: [("rows".to_owned(), json!(1))].into(),
            files: BTreeMap::new(),
        }
    }

    #[test]
    fn a_stage_is_stale_if_content_changed_but_not_if_paths_changed() {
        let done = record();
        assert_eq!(stale(&done, &record()), None);
        let mut moved = record();
        moved.settings["data"]["train"] = json!("b.jsonl");
        moved.settings["student"]["init"] = json!("elsewhere");
        assert_eq!(stale(&done, &moved), None);
        let mut longer = record();
        longer.settings["student"]["epochs"] = json!(4);
        assert_eq!(stale(&done, &longer).unwrap(), "setting student.epochs changed: 3 → 4");
        let mut other = record();
        other.inputs.insert("data".to_owned(), "b".repeat(64));
        assert!(stale(&done, &other).unwrap().starts_with("input data changed: aaaaaaaaaaaa… → bbbbbbbbbbbb…"));
        let other = RunRecord { command: "finetune".to_owned(), ..record() };
        assert_eq!(stale(&other, &record()).unwrap(), "it is a result of finetune");
    }
}
