//! The directory that a stage writes: made, locked, and never overwritten without being asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::bail;
use distill_core::atomic::{self, FileError};
use distill_core::lock::{DirectoryLock, LOCK_FILE, must_be_free};
use distill_core::record::{RUN_FILE, RunRecord};
use distill_student::checkpoint::CHECKPOINTS;
use distill_student::metrics::METRICS_FILE;

use crate::commands::claim::foreign;
use crate::commands::store_files::PROGRESS_FILE;
use crate::exit::Failure;

/// Files and directories that stages write: all that `--overwrite` ever removes.
const OWN_NAMES: &[&str] = &[
    RUN_FILE,
    METRICS_FILE,
    "model",
    CHECKPOINTS,
    "manifest.json",
    "rows.jsonl",
    PROGRESS_FILE,
    "report.json",
    "report.md",
    "report.html",
];

/// What is in an output directory before a run.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Empty,
    /// A run's record, finished or not.
    Run(Box<RunRecord>),
    /// Something else, with one of its names.
    Foreign(String),
}

/// A locked output directory.
#[derive(Debug)]
pub struct OutDir {
    path: PathBuf,
    /// The directories that were made for it, the deepest first.
    made: Vec<PathBuf>,
    /// Whether it holds the beginning of this very run.
    resumed: bool,
    // Dropped last: the directory is ours until everything is written.
    _lock: DirectoryLock,
}

impl OutDir {
    /// Looks at a directory without touching it.
    ///
    /// # Errors
    /// [`Failure`] for a path that is a file; [`FileError`] where a record cannot be read.
    pub fn look(path: &Path) -> anyhow::Result<Found> {
        if path.exists() && !path.is_dir() {
            bail!(Failure::cannot_create(format!("{} is a file, expected a directory", path.display())));
        }
        let Some(name) = first_entry(path)? else { return Ok(Found::Empty) };
        match RunRecord::read(path) {
            Ok(record) => Ok(Found::Run(Box::new(record))),
            Err(error) if is_no_record(error.source.kind()) => Ok(Found::Foreign(name)),
            // What cannot be read now may be the record of a run.
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses a directory that another run owns, or that holds anything but a run.
    ///
    /// # Errors
    /// [`Failure`] naming what is there.
    pub fn refuse_foreign(path: &Path) -> anyhow::Result<()> {
        let found = Self::look(path)?;
        must_be_free(path)?;
        match found {
            Found::Foreign(name) => bail!(foreign(path, &name)),
            _ => Ok(()),
        }
    }

    /// Makes and locks the directory; what is in it stays.
    ///
    /// # Errors
    /// [`FileError`] where it cannot be made; [`distill_core::lock::LockError`] where another run owns it.
    pub fn claim(path: &Path) -> anyhow::Result<Self> {
        Self::look(path)?;
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        atomic::create_directory(path)?;
        let lock = DirectoryLock::acquire(path)?;
        Ok(OutDir { path: path.to_owned(), made, resumed: false, _lock: lock })
    }

    /// Removes the results of earlier runs.
    ///
    /// # Errors
    /// Where files cannot be removed.
    pub fn start_over(&self) -> anyhow::Result<()> {
        if let Ok(record) = RunRecord::read(&self.path) {
            // A record without inputs is that of no run: whoever is killed below begins here again.
            let emptied = RunRecord { inputs: BTreeMap::new(), results: BTreeMap::new(), ..record };
            emptied.write(&self.path)?;
        }
        for name in OWN_NAMES.iter().filter(|name| **name != RUN_FILE) {
            remove(&self.path.join(name))?;
        }
        remove_where(&self.path, |name| is_half_written(name) || is_shard(name))?;
        remove(&self.path.join(RUN_FILE))
    }

    /// Takes over the beginning of this very run, and removes only what was half-written.
    ///
    /// # Errors
    /// Where files cannot be removed.
    pub fn go_on(&mut self) -> anyhow::Result<()> {
        self.resumed = true;
        remove_where(&self.path, is_half_written)
    }

    /// Takes back that a run began here. One that got as far as training keeps its record beside the course of it, which
    /// shows what went wrong: the record says whose the directory is, so that a run with better settings may replace it.
    ///
    /// # Errors
    /// Where files cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        remove_where(&self.path, |name| is_half_written(name) || is_shard(name) || name == PROGRESS_FILE)?;
        let metrics = self.path.join(METRICS_FILE);
        if std::fs::metadata(&metrics).is_ok_and(|course| course.len() > 0) {
            return Ok(());
        }
        remove(&metrics)?;
        remove(&self.path.join(CHECKPOINTS))?;
        remove(&self.path.join(RUN_FILE))
    }

    /// Removes the progress of a store whose manifest is written.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn forget_progress(&self) -> anyhow::Result<()> {
        remove(&self.path.join(PROGRESS_FILE))
    }

    /// Whether the directory holds the beginning of this run.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills a directory under a temporary name and renames it to `name` when it is whole.
    ///
    /// # Errors
    /// Those of `fill`, and of the file system.
    pub fn fill_directory(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        let (temporary, result) = (self.path.join(format!(".{name}.tmp")), self.path.join(name));
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(FileError::of("remove", &temporary))?;
        }
        fs::create_dir(&temporary).map_err(FileError::of("create", &temporary))?;
        let filled = fill(&temporary).and_then(|()| {
            atomic::sync_directory(&temporary)?;
            // There is one where a run was killed before it could write its record.
            remove(&result)?;
            Ok(atomic::rename_directory(&temporary, &result)?)
        });
        if filled.is_err()
            && let Err(error) = fs::remove_dir_all(&temporary)
        {
            tracing::debug!("{}: {error}", temporary.display());
        }
        filled.map(|()| result)
    }
}

impl Drop for OutDir {
    /// A run that wrote nothing leaves no lock behind, nor the directories that were made for it.
    fn drop(&mut self) {
        if self.resumed || !matches!(first_entry(&self.path), Ok(None)) {
            return;
        }
        let lock = self.path.join(LOCK_FILE);
        let removed = fs::remove_file(&lock).and_then(|()| self.made.iter().try_for_each(fs::remove_dir));
        if let Err(error) = removed {
            tracing::debug!("{}: {error}", self.path.display());
        }
    }
}

/// The first name in a directory that is neither the lock nor half-written by a run that was killed.
fn first_entry(path: &Path) -> anyhow::Result<Option<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot_create(path, &error).into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(FileError::of("read", path))?.file_name().to_string_lossy().into_owned();
        if name != LOCK_FILE && !is_half_written(&name) {
            names.push(name);
        }
    }
    Ok(names.into_iter().min())
}

fn is_no_record(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::InvalidData | ErrorKind::IsADirectory)
}

/// A file of a soft-target store.
fn is_shard(name: &str) -> bool {
    name.starts_with("train-") && name.ends_with(".parquet")
}

/// What a killed run was writing: `.NAME.RANDOM.tmp` of a file, `.NAME.tmp` of a directory; or removing:
/// `.NAME.old.tmp`.
fn is_half_written(name: &str) -> bool {
    let Some(name) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")) else { return false };
    let is_own = |name: &str| OWN_NAMES.contains(&name) || is_shard(name);
    is_own(name) || name.rsplit_once('.').is_some_and(|(name, _)| is_own(name))
}

fn remove_where(path: &Path, matches: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for entry in fs::read_dir(path).map_err(FileError::of("read", path))? {
        let entry = entry.map_err(FileError::of("read", path))?.path();
        if matches(&entry.file_name().unwrap_or_default().to_string_lossy()) {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// Removes a file, or a directory, which first loses its name: half of it is never seen under that.
fn remove(path: &Path) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let removed = if path.is_dir() && !name.starts_with('.') {
        let temporary = path.with_file_name(format!(".{name}.old.tmp"));
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(FileError::of("remove", &temporary))?;
        }
        atomic::rename_directory(path, &temporary)?;
        fs::remove_dir_all(&temporary)
    } else if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::new("remove", path, error).into()),
        _ => Ok(()),
    }
}

fn cannot_create(path: &Path, error: &std::io::Error) -> Failure {
    Failure::cannot_create(format!("{} cannot be created: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, names: &[&str]) {
        names.iter().for_each(|name| atomic::write(&path.join(name), b"x").unwrap());
    }

    fn record() -> RunRecord {
        let json = serde_json::json!({"format_version": 1, "command": "student", "settings": {}, "versions": {},
            "device": {}, "inputs": {"data": "abc"}, "results": {"rows": 1}});
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_run_that_wrote_nothing_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("runs/a");
        drop(OutDir::claim(&out).unwrap());
        assert!(!root.path().join("runs").exists());
        fs::create_dir_all(&out).unwrap();
        drop(OutDir::claim(&out).unwrap());
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "a directory that was there stays");
        put(&out, &["run.json"]);
        drop(OutDir::claim(&out).unwrap());
        assert!(out.join("run.json").exists());
    }

    #[test]
    fn foreign_files_are_refused_and_spared() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path();
        put(
            out,
            &["metrics.jsonl", "train-00000-of-00001.parquet", "mine.txt", ".mine.tmp", ".run.json.a1.tmp"],
        );
        let text = OutDir::refuse_foreign(out).unwrap_err().to_string();
        assert!(text.contains("not empty") && text.contains("--overwrite"), "{text}");
        let held = OutDir::claim(out).unwrap();
        held.start_over().unwrap();
        let mut left: Vec<_> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".lock", ".mine.tmp", "mine.txt"]);
        assert!(OutDir::claim(out).unwrap_err().to_string().contains("in use"));
        drop(held);
        assert!(out.exists());
    }

    #[test]
    fn what_a_killed_run_was_writing_is_no_content() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), &[".run.json.a1B2c3.tmp", ".train-00000-of-00001.parquet.a1B2c3.tmp"]);
        fs::create_dir(root.path().join(".model.tmp")).unwrap();
        assert!(matches!(OutDir::look(root.path()).unwrap(), Found::Empty));
        put(root.path(), &[".other.a1B2c3.tmp"]);
        assert!(matches!(OutDir::look(root.path()).unwrap(), Found::Foreign(_)));
    }

    #[test]
    fn a_record_without_inputs_is_that_of_no_run() {
        let emptied = RunRecord { inputs: BTreeMap::new(), results: BTreeMap::new(), ..record() };
        assert!(crate::commands::stage::stale(&emptied, &record()).is_some());
    }

    #[test]
    fn a_filled_directory_appears_whole_or_not_at_all_and_replaces_one() {
        let root = tempfile::tempdir().unwrap();
        let out = OutDir::claim(root.path()).unwrap();
        assert!(out.fill_directory("model", |_| bail!("no")).is_err());
        assert!(!root.path().join("model").exists() && !root.path().join(".model.tmp").exists());
        for name in ["a", "b"] {
            let made = out.fill_directory("model", |path| Ok(atomic::write(&path.join(name), b"1")?)).unwrap();
            assert_eq!(fs::read_dir(&made).unwrap().count(), 1);
            assert!(made.join(name).exists());
        }
    }
}
