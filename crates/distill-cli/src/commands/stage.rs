//! What finetune, teacher, student and report share: what they would do, whether that was done
//! already, and the record of it.

use std::collections::BTreeMap;
use std::path::Path;

use distill_core::record::RunRecord;
use serde_json::Value;

use crate::args::Common;
use crate::commands::outdir::OutDir;
use crate::exit::Status;
use crate::output::printer;
use crate::session::Session;

/// A step of the pipeline.
pub trait Stage {
    /// Its subcommand.
    fn command(&self) -> &'static str;

    /// The settings that its result depends on, for `run.json`.
    fn settings(&self, session: &Session) -> anyhow::Result<Value>;

    /// Hashes of everything it reads, by what it is.
    ///
    /// # Errors
    /// Where an input is missing or cannot be read.
    fn inputs(&self, session: &Session) -> anyhow::Result<BTreeMap<String, String>>;

    /// Does the work into `out`; the figures go into `run.json`.
    ///
    /// # Errors
    /// Whatever stopped it.
    fn execute(&self, session: &Session, out: &OutDir, record: &RunRecord) -> anyhow::Result<Finished>;
}

/// What a stage leaves behind besides its files.
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
    Ok(RunRecord {
        format_version: RunRecord::FORMAT_VERSION,
        command: stage.command().to_owned(),
        settings: stage.settings(session)?,
        versions: session.versions(),
        device: session.device_record(),
        inputs: stage.inputs(session)?,
        results: BTreeMap::new(),
    })
}

/// Runs one stage for its own subcommand.
///
/// # Errors
/// Whatever stopped it.
pub fn run_alone(
    stage: &dyn Stage,
    session: &Session,
    common: &Common,
    out: &Path,
    overwrite: bool,
) -> anyhow::Result<Status> {
    OutDir::check(out, overwrite)?;
    let record = plan(stage, session)?;
    if common.dry_run {
        printer::result(&serde_json::to_string_pretty(&record)?)?;
        return Ok(Status::Done);
    }
    let finished = run_into(stage, session, out, overwrite, record)?;
    if common.json {
        printer::result(&serde_json::to_string_pretty(&finished.results)?)?;
    } else {
        printer::result(&finished.text)?;
    }
    Ok(finished.status)
}

/// Runs a planned stage into `out` and writes its record last: it is the completion mark.
///
/// # Errors
/// Whatever stopped it.
pub fn run_into(
    stage: &dyn Stage,
    session: &Session,
    out: &Path,
    overwrite: bool,
    mut record: RunRecord,
) -> anyhow::Result<Finished> {
    let out = OutDir::prepare(out, overwrite)?;
    tracing::debug!(settings = %record.settings, "{}", record.command);
    let finished = stage.execute(session, &out, &record)?;
    record.results.clone_from(&finished.results);
    record.write(out.path())?;
    Ok(finished)
}

/// Why a finished stage has to be run again, or none.
pub fn stale(done: &RunRecord, planned: &RunRecord) -> Option<String> {
    if done.results.is_empty()
        || done.command != planned.command
        || done.format_version != planned.format_version
    {
        return Some("it was not finished".to_owned());
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

/// Where a file lies is no reason to run again: what is in it stands among the inputs.
fn without_paths(settings: &Value) -> Value {
    const PATHS: &[&str] =
        &["train", "test", "model", "init", "targets", "tokenizer", "baseline_init", "models", "predictions"];
    match settings {
        Value::Object(map) => map
            .iter()
            .filter(|(key, value)| !PATHS.contains(&key.as_str()) || value.is_object())
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
        }
    }

    #[test]
    fn a_stage_is_stale_for_what_changed_and_not_for_where_files_lie() {
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
        let unfinished = RunRecord { results: BTreeMap::new(), ..record() };
        assert_eq!(stale(&unfinished, &record()).unwrap(), "it was not finished");
    }
}
