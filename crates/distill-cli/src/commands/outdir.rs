//! The directory that a stage writes: made, locked, and never overwritten without being asked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use distill_core::atomic::{self, FileError};
use distill_core::lock::{DirectoryLock, LOCK_FILE};
use distill_core::record::{RUN_FILE, RunRecord};

use crate::exit::Failure;

/// Files and directories that stages write: all that `--overwrite` ever removes.
const OWN_NAMES: &[&str] = &[
    "run.json",
    "metrics.jsonl",
    "model",
    "checkpoints",
    "manifest.json",
    "rows.jsonl",
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
    made_here: bool,
    /// Whether it holds the beginning of this very run.
    resumed: bool,
    // Dropped last: the directory is ours until everything is written.
    _lock: DirectoryLock,
}

impl OutDir {
    /// Looks at a directory without touching it.
    ///
    /// # Errors
    /// [`Failure`] for a path that is a file.
    pub fn look(path: &Path) -> anyhow::Result<Found> {
        if path.exists() && !path.is_dir() {
            bail!(Failure::cannot_create(format!("{} is a file, expected a directory", path.display())));
        }
        let Some(name) = first_entry(path)? else { return Ok(Found::Empty) };
        Ok(match RunRecord::read(path) {
            Ok(record) => Found::Run(Box::new(record)),
            Err(_) => Found::Foreign(name),
        })
    }

    /// Refuses a directory that holds anything but a run.
    ///
    /// # Errors
    /// [`Failure`] naming what is there.
    pub fn refuse_foreign(path: &Path) -> anyhow::Result<()> {
        let found = Self::look(path)?;
        if !matches!(found, Found::Empty) && path.join(LOCK_FILE).exists() {
            // A run that is at work says more than what it has written so far.
            drop(DirectoryLock::acquire(path)?);
        }
        match found {
            Found::Foreign(name) => bail!(Failure::cannot_create(format!(
                "{} is not empty (it has {name}); choose another directory or give --overwrite",
                path.display()
            ))),
            _ => Ok(()),
        }
    }

    /// Makes and locks the directory and removes the results of earlier runs.
    ///
    /// # Errors
    /// [`Failure`] where it cannot be made; [`distill_core::lock::LockError`] where another run owns it.
    pub fn prepare(path: &Path) -> anyhow::Result<Self> {
        let out = Self::lock(path)?;
        remove_results(path)?;
        Ok(out)
    }

    /// Locks a directory that holds the beginning of this very run, and removes only what was half-written.
    ///
    /// # Errors
    /// As [`OutDir::prepare`].
    pub fn go_on(path: &Path) -> anyhow::Result<Self> {
        let mut out = Self::lock(path)?;
        out.resumed = true;
        remove_where(path, is_half_written)?;
        Ok(out)
    }

    fn lock(path: &Path) -> anyhow::Result<Self> {
        Self::look(path)?;
        let made_here = !path.exists();
        fs::create_dir_all(path).map_err(|error| cannot_create(path, &error))?;
        let lock = DirectoryLock::acquire(path)?;
        Ok(OutDir { path: path.to_owned(), made_here, resumed: false, _lock: lock })
    }

    /// Takes back that a run began here.
    ///
    /// # Errors
    /// Where files cannot be removed.
    pub fn forget(&self) -> anyhow::Result<()> {
        remove(&self.path.join(RUN_FILE))?;
        remove_where(&self.path, |name| is_half_written(name) || is_shard(name))
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
    /// A directory that was made for a run which then wrote nothing goes away again.
    fn drop(&mut self) {
        if self.made_here
            && !self.resumed
            && matches!(first_entry(&self.path), Ok(None))
            && let Err(error) =
                fs::remove_file(self.path.join(LOCK_FILE)).and_then(|()| fs::remove_dir(&self.path))
        {
            tracing::debug!("{}: {error}", self.path.display());
        }
    }
}

/// The first name in a directory that is not the lock.
fn first_entry(path: &Path) -> anyhow::Result<Option<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot_create(path, &error).into()),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(FileError::of("read", path))?.file_name().to_string_lossy().into_owned();
        if name != LOCK_FILE {
            names.push(name);
        }
    }
    Ok(names.into_iter().min())
}

fn remove_results(path: &Path) -> anyhow::Result<()> {
    // The record first: without it, nothing else in the directory counts as a result.
    for name in OWN_NAMES {
        remove(&path.join(name))?;
    }
    remove_where(path, |name| is_half_written(name) || is_shard(name))
}

/// A file of a soft-target store.
fn is_shard(name: &str) -> bool {
    name.starts_with("train-") && name.ends_with(".parquet")
}

/// What a killed run was writing: a file gets its own name only when it is whole.
fn is_half_written(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
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

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::new("remove", path, error).into())
        }
        _ => Ok(()),
    }
}

fn cannot_create(path: &Path, error: &std::io::Error) -> Failure {
    Failure::cannot_create(format!("{} cannot be created: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_anything_in_it_needs_overwrite_which_spares_foreign_files() {
        let root = tempfile::tempdir().unwrap();
        let out = root.path().join("out");
        drop(OutDir::prepare(&out).unwrap());
        assert!(!out.exists(), "an unused directory goes away again");
        fs::create_dir(&out).unwrap();
        for name in ["metrics.jsonl", "train-00000-of-00001.parquet", "mine.txt"] {
            atomic::write(&out.join(name), b"x").unwrap();
        }
        let text = OutDir::refuse_foreign(&out).unwrap_err().to_string();
        assert!(text.contains("not empty") && text.contains("--overwrite"), "{text}");
        let held = OutDir::prepare(&out).unwrap();
        assert!(!out.join("metrics.jsonl").exists() && !out.join("train-00000-of-00001.parquet").exists());
        assert!(out.join("mine.txt").exists());
        assert!(OutDir::prepare(&out).unwrap_err().to_string().contains("in use"));
        drop(held);
        assert!(out.exists());
    }

    #[test]
    fn a_filled_directory_appears_whole_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let out = OutDir::prepare(root.path()).unwrap();
        assert!(out.fill_directory("model", |_| bail!("no")).is_err());
        assert!(!root.path().join("model").exists() && !root.path().join(".model.tmp").exists());
        let made = out.fill_directory("model", |path| Ok(atomic::write(&path.join("a"), b"1")?)).unwrap();
        assert!(made.join("a").exists());
    }
}
