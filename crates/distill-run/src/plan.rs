//! What a stage would do, given what its directory holds: nothing, the rest, or all of it, and why.

use std::collections::BTreeMap;
use std::path::Path;

use distill_core::record::RunRecord;
use tracing::trace_span;

use crate::error::{Result, RunError};
use crate::outdir::{Found, OutDir, foreign};
use crate::recorded;
use crate::session::Session;
use crate::stage::{Prepared, Stage};
use crate::timeline;

/// What has to be done for a stage, given what its directory holds.
///
/// ```no_run
/// use std::path::Path;
///
/// use distill_run::finetune::FinetuneStage;
/// use distill_run::plan::{self, Plan, Replace};
/// use distill_run::session::Session;
/// use distill_run::settings::Settings;
///
/// let mut settings = Settings::default();
/// settings.finetune.model = Some("models/all-MiniLM-L6-v2".into());
/// settings.data.train = Some("train.jsonl".into());
/// let session = Session::new(&settings.runtime)?;
/// let stage = FinetuneStage { settings: &settings, student_after: None };
/// let planned = plan::prepare(&stage, &session)?;
/// match Plan::of(&stage, Path::new("runs/teacher"), &planned.record, Replace::Stale)? {
///     Plan::UpToDate(done) => println!("{:?}", done.results),
///     Plan::Resume { .. } | Plan::Place(_) => println!("was stopped before its end"),
///     Plan::Redo(why) | Plan::Run(why) => println!("would run: {why}"),
/// }
/// # Ok::<(), distill_run::error::RunError>(())
/// ```
pub enum Plan {
    /// Nothing: the result is up to date.
    UpToDate(Box<RunRecord>),
    /// The rest of a run that was stopped.
    Resume {
        /// Whether it was made apart from the directory's own result.
        is_staged: bool,
    },
    /// Its result is whole, and has to take its place.
    Place(Box<RunRecord>),
    /// All of it once more: this very run was finished, and a part of its result is gone.
    Redo(String),
    /// All of it; why it is not done.
    Run(String),
}

/// What a run may do to a directory that holds the result of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Nothing: it is refused.
    Never,
    /// A result that is out of date is made again; anything else is refused.
    Stale,
    /// Whatever stages write is removed.
    All,
}

impl Plan {
    /// Compares what a stage would do with what is in its directory.
    ///
    /// # Errors
    /// [`RunError`] where that may not be replaced.
    pub fn of(stage: &dyn Stage, path: &Path, planned: &RunRecord, replace: Replace) -> Result<Self> {
        let found = OutDir::look(path)?;
        let is_done = |done: &RunRecord| stale(done, planned).is_none() && !done.results.is_empty();
        if let Found::Run(done) = &found
            && replace != Replace::All
            && is_done(done)
        {
            return Ok(stage.missing(path)?.map_or(Plan::UpToDate(done.clone()), Plan::Redo));
        }
        // The run that began it was allowed to replace the existing result.
        let is_foreign = matches!(found, Found::Foreign(_)) && replace != Replace::All;
        if let Some(staged) = OutDir::staged(path)?
            && !is_foreign
            && stale(&staged, planned).is_none()
        {
            return Ok(match staged.results.is_empty() {
                true => Plan::Resume { is_staged: true },
                false => Plan::Place(Box::new(staged)),
            });
        }
        Ok(match found {
            _ if replace == Replace::All => Plan::Run("--overwrite".to_owned()),
            Found::Empty => Plan::Run("there is no result yet".to_owned()),
            Found::Foreign(name) => return Err(foreign(path, &name)),
            Found::Run(done) => match stale(&done, planned) {
                Some(why) if replace == Replace::Never => {
                    return Err(RunError::cannot_create(format!(
                        "{} contains another run ({why}); choose another directory or give --overwrite",
                        path.display()
                    )));
                }
                Some(why) => Plan::Run(why),
                None if stage.works_in_place() => Plan::Resume { is_staged: false },
                None => Plan::Run("it was stopped before its end".to_owned()),
            },
        })
    }
}

/// A stage that is ready to run.
pub struct Planned<'a> {
    /// With its inputs open.
    pub prepared: Prepared<'a>,
    /// As it would be run now, without results.
    pub record: RunRecord,
}

/// Prepares a stage, and makes its record.
///
/// # Errors
/// Where an input is missing or cannot be read.
pub fn prepare<'a>(stage: &'a dyn Stage, session: &Session) -> Result<Planned<'a>> {
    let _span = trace_span!(target: timeline::TARGET, "hash").entered();
    let prepared = stage.prepare(session)?;
    let record = RunRecord {
        format_version: RunRecord::FORMAT_VERSION,
        command: stage.command().to_owned(),
        settings: prepared.settings.clone(),
        versions: session.versions(),
        device: session.device_record(),
        inputs: prepared.inputs.clone(),
        results: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    Ok(Planned { prepared, record })
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
    recorded::change(done, planned).map(|what| format!("setting {what}"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn student() -> RunRecord {
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
        let done = student();
        assert_eq!(stale(&done, &student()), None);
        let mut moved = student();
        moved.settings["data"]["train"] = json!("b.jsonl");
        moved.settings["student"]["init"] = json!("elsewhere");
        assert_eq!(stale(&done, &moved), None);
        let mut longer = student();
        longer.settings["student"]["epochs"] = json!(4);
        assert_eq!(stale(&done, &longer).unwrap(), "setting student.epochs changed: 3 → 4");
        let mut other = student();
        other.inputs.insert("data".to_owned(), "b".repeat(64));
        assert!(stale(&done, &other).unwrap().starts_with("input data changed: aaaaaaaaaaaa… → bbbbbbbbbbbb…"));
        let other = RunRecord { command: "finetune".to_owned(), ..student() };
        assert_eq!(stale(&other, &student()).unwrap(), "it is a result of finetune");
    }

    #[test]
    fn a_record_without_inputs_is_that_of_no_run() {
        let emptied = RunRecord { inputs: BTreeMap::new(), results: BTreeMap::new(), ..student() };
        assert!(stale(&emptied, &student()).is_some());
    }
}
