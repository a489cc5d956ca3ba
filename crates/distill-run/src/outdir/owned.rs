//! Which files of an output directory belong to the run described by its `run.json`. Nothing else is ever removed.
//!
//! A finished run lists its files with their hashes. Without a list (a run that was stopped, a record of an
//! earlier version), a file belongs to the run if its content proves it; in doubt it belongs to the user.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
use distill_core::record::{FileMark, RUN_FILE, RunRecord};
use distill_data::logits::{LogitsTable, MANIFEST_FILE, Manifest};
use distill_report::documents::card_notes::{self, Card};
use distill_report::gates::baseline;
use distill_student::checkpoint::CHECKPOINTS;
use distill_student::metrics::METRICS_FILE;

use super::names::{self, MODEL, PROGRESS_FILE, ROWS_FILE};
use crate::error::{Result, RunError};

/// The model card, whose marks say what of it is ours.
const CARD: &str = "README.md";
/// What earlier versions wrote into a model directory.
const MODEL_FILES: &[&str] = &[
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
];

/// Whose a file is.
#[derive(Debug, PartialEq, Eq)]
enum Whose {
    Run,
    /// A file of the run that was changed.
    Changed(String),
    User(String),
}

/// The entries of `out` that the run of `record` wrote, without the record itself.
///
/// # Errors
/// [`RunError`] naming the first file under one of a run's names that is not the run's, or that was changed since.
pub fn entries(out: &Path, record: Option<&RunRecord>) -> Result<Vec<String>> {
    let mut own = Vec::new();
    for name in listed(out)?.into_iter().filter(|name| names::is_own(name)) {
        must_be_own(out, record, &name)?;
        if name != RUN_FILE {
            own.push(name);
        }
    }
    Ok(own)
}

/// Refuses an entry that the run of `record` did not write, or that was changed since. Missing entries are accepted.
///
/// # Errors
/// As [`entries`].
pub fn must_be_own(out: &Path, record: Option<&RunRecord>, name: &str) -> Result<()> {
    if out.join(name).symlink_metadata().is_err() {
        return Ok(());
    }
    match (Run { out, record }).whose(name)? {
        Whose::Run => Ok(()),
        Whose::Changed(name) => Err(RunError::cannot_create(format!(
            "{} was changed after distill wrote it, and would be replaced; move it, or choose another directory",
            out.join(name).display()
        ))),
        Whose::User(name) => Err(RunError::cannot_create(format!(
            "{} was not written by distill, and would be replaced; move it, or choose another directory",
            out.join(name).display()
        ))),
    }
}

/// Those of [`entries`] that belong to the run; other entries are ignored.
///
/// # Errors
/// Where something cannot be read.
pub fn certain(out: &Path, record: &RunRecord) -> Result<Vec<String>> {
    let run = Run { out, record: Some(record) };
    let mut own = Vec::new();
    for name in listed(out)?.into_iter().filter(|name| names::is_own(name) && name != RUN_FILE) {
        if run.whose(&name)? == Whose::Run {
            own.push(name);
        }
    }
    Ok(own)
}

/// The files of a finished run. Those of a store are listed in its manifest; a model card may change.
///
/// # Errors
/// [`FileError`] naming the file that cannot be read.
pub fn marks(work: &Path) -> Result<BTreeMap<String, FileMark>> {
    let mut found = BTreeMap::new();
    let passing = [RUN_FILE, CHECKPOINTS, PROGRESS_FILE];
    for name in listed(work)? {
        if names::is_own(&name) && !names::is_shard(&name) && !passing.contains(&name.as_str()) {
            found.extend(marks_below(&work.join(&name), &name)?);
        }
    }
    Ok(found)
}

/// The files below `path`, which has or will have the name `name`.
///
/// # Errors
/// As [`marks`].
pub fn marks_below(path: &Path, name: &str) -> Result<BTreeMap<String, FileMark>> {
    let mut found = BTreeMap::new();
    for (name, path) in files_below(path, name)? {
        if !is_card(&name) {
            found.insert(name, FileMark::of(&path)?);
        }
    }
    Ok(found)
}

fn is_card(name: &str) -> bool {
    name.strip_prefix(MODEL).and_then(|name| name.strip_prefix('/')) == Some(CARD)
}

/// A directory with the record of its run.
struct Run<'a> {
    out: &'a Path,
    record: Option<&'a RunRecord>,
}

impl Run<'_> {
    fn whose(&self, name: &str) -> Result<Whose> {
        let user = || Ok(Whose::User(name.to_owned()));
        let Some(record) = self.record else { return user() };
        let listed = record.files.get(name);
        // What a run keeps while it works is in no list.
        let command = record.command.as_str();
        let of_training = ["pretrain", "finetune", "student"].contains(&command);
        match name {
            RUN_FILE => Ok(Whose::Run),
            CHECKPOINTS if of_training => Ok(Whose::Run),
            METRICS_FILE if of_training && listed.is_none() => Ok(Whose::Run),
            PROGRESS_FILE if command == "teacher" => Ok(Whose::Run),
            MODEL if of_training => self.model(record),
            _ if names::is_shard(name) && is_store(command) => self.shard(name, record),
            _ => match listed {
                Some(mark) => self.as_written(name, mark),
                None if !record.files.is_empty() && !record.results.is_empty() => user(),
                None if self.says_so(name, record)? => Ok(Whose::Run),
                None => user(),
            },
        }
    }

    fn as_written(&self, name: &str, mark: &FileMark) -> Result<Whose> {
        let path = self.out.join(name);
        Ok(if path.is_file() && mark.is(&path)? { Whose::Run } else { Whose::Changed(name.to_owned()) })
    }

    /// A store's file, which its manifest lists; before there is one, its footer says that a pass wrote it.
    fn shard(&self, name: &str, record: &RunRecord) -> Result<Whose> {
        let path = self.out.join(name);
        if let Ok(manifest) = Manifest::read(self.out)
            && let Some(shard) = manifest.shards.iter().find(|shard| shard.file.name == name)
        {
            let mark = FileMark { bytes: shard.file.bytes, blake3: shard.file.blake3.clone() };
            return self.as_written(name, &mark);
        }
        let is_open = record.results.is_empty();
        let written = is_open && LogitsTable::open(&path).is_ok_and(|table| table.fingerprint().is_some());
        Ok(if written { Whose::Run } else { Whose::User(name.to_owned()) })
    }

    /// Every file of a model directory is the run's, or the directory is not.
    fn model(&self, record: &RunRecord) -> Result<Whose> {
        let path = self.out.join(MODEL);
        if !path.is_dir() {
            return Ok(Whose::User(MODEL.to_owned()));
        }
        let is_listed = record.files.keys().any(|name| name.starts_with("model/"));
        if !is_listed && !self.is_older_model(record)? {
            return Ok(Whose::User(MODEL.to_owned()));
        }
        for (name, path) in files_below(&path, MODEL)? {
            let whose = match record.files.get(&name) {
                _ if is_card(&name) => whose_card(&name, &path)?,
                Some(mark) => self.as_written(&name, mark)?,
                None if !is_listed && MODEL_FILES.iter().any(|known| name == format!("{MODEL}/{known}")) => {
                    Whose::Run
                }
                None => Whose::User(name),
            };
            if whose != Whose::Run {
                return Ok(whose);
            }
        }
        Ok(Whose::Run)
    }

    /// Whether a record without a list means this model: by the hash of its weights, or, where the run was stopped
    /// before it noted that, by the card that it wrote.
    fn is_older_model(&self, record: &RunRecord) -> Result<bool> {
        let weights = self.out.join(MODEL).join("model.safetensors");
        match record.results.get("weights").and_then(|hash| hash.as_str()) {
            Some(hash) if weights.is_file() => Ok(FileMark::of(&weights)?.blake3 == hash),
            Some(_) => Ok(false),
            None => {
                let card = self.out.join(MODEL).join(CARD);
                Ok(record.results.is_empty() && card.is_file() && whose_card(CARD, &card)? == Whose::Run)
            }
        }
    }

    /// Whether the content of a file without a mark is what a run of this command writes.
    fn says_so(&self, name: &str, record: &RunRecord) -> Result<bool> {
        let path = self.out.join(name);
        let command = record.command.as_str();
        let number = |key: &str| record.results.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        let text = || fs::read_to_string(&path).unwrap_or_default();
        Ok(match name {
            MANIFEST_FILE => is_store(command) && Manifest::read(self.out).is_ok(),
            ROWS_FILE if command == "augment" && !record.results.is_empty() => {
                let rows = number("rows") + number("copies") + number("unlabelled");
                lines(&path)? == rows
            }
            "report.json" => command == "report" && baseline::read(&path).is_ok(),
            "report.md" => command == "report" && text().starts_with("# Distillation report"),
            "report.html" => command == "report" && text().contains("Distillation report</title>"),
            _ => false,
        })
    }
}

fn is_store(command: &str) -> bool {
    command == "teacher" || command.starts_with("targets ")
}

fn whose_card(name: &str, path: &Path) -> Result<Whose> {
    let text = fs::read_to_string(path).map_err(FileError::of("read", path))?;
    Ok(match card_notes::whose(&text) {
        Card::Ours => Whose::Run,
        Card::Changed => Whose::Changed(name.to_owned()),
        Card::Users => Whose::User(name.to_owned()),
    })
}

fn lines(path: &Path) -> Result<u64, FileError> {
    let bytes = fs::read(path).map_err(FileError::of("read", path))?;
    Ok(bytes.iter().filter(|byte| **byte == b'\n').count() as u64)
}

/// The names in a directory in their order; none where it is missing.
pub fn listed(directory: &Path) -> Result<Vec<String>, FileError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FileError::new("read", directory, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry.map_err(FileError::of("read", directory))?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// All files below a path, or the path itself, with their names from `name` on. What a kill left half-written counts as
/// the directory's own.
fn files_below(path: &Path, name: &str) -> Result<Vec<(String, PathBuf)>, FileError> {
    if !path.is_dir() {
        return Ok(vec![(name.to_owned(), path.to_owned())]);
    }
    let mut found = Vec::new();
    for entry in listed(path)?.into_iter().filter(|entry| !is_temporary(entry)) {
        found.extend(files_below(&path.join(&entry), &format!("{name}/{entry}"))?);
    }
    Ok(found)
}

/// `.README.md.RANDOM.tmp`, which a report that was killed left.
fn is_temporary(name: &str) -> bool {
    name.strip_prefix(&format!(".{CARD}.")).is_some_and(|rest| rest.ends_with(".tmp"))
}
