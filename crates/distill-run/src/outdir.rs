//! The directory that a stage writes: made, locked, and never overwritten without being asked.
//!
//! A stage that grows (training, a teacher pass) works in the directory itself, unless it has a finished result.
//! Everything else is made in a separate directory, [`names::STAGE`], and moved into place when it is complete
//! ([`swap`]). [`owned`] says what may be replaced, [`overlap`] where a run may not write, [`seen`] whether inputs
//! changed.

pub mod names;
pub mod overlap;
pub mod owned;
pub mod seen;
pub mod swap;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use distill_core::atomic::{self, FileError};
use distill_core::lock::{DirectoryLock, LOCK_FILE, is_lock_file, must_be_free};
use distill_core::record::{RUN_FILE, RunRecord};
use distill_student::checkpoint::{CHECKPOINTS, Checkpoints};
use distill_student::metrics::METRICS_FILE;

use crate::error::{Result, RunError};
use names::{PROGRESS_FILE, STAGE, is_half_written, is_of_swap};
use seen::Seen;

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
    target: PathBuf,
    /// Where the run writes: the directory, or its stage.
    path: PathBuf,
    /// The directories that were made for it, the deepest first.
    made: Vec<PathBuf>,
    /// Whether it holds the beginning of this very run.
    resumed: bool,
    /// The state of the run's inputs.
    seen: Seen,
    // Dropped last: the directory is ours until everything is written.
    _lock: DirectoryLock,
}

impl OutDir {
    /// Looks at a directory without touching it.
    ///
    /// # Errors
    /// [`RunError`] for a path that is a file; [`FileError`] where a record cannot be read.
    pub fn look(path: &Path) -> Result<Found> {
        if path.exists() && !path.is_dir() {
            return Err(RunError::cannot_create(format!("{} is a file; expected a directory", path.display())));
        }
        let Some(name) = first_entry(path)? else { return Ok(Found::Empty) };
        Ok(record_in(path)?.map_or(Found::Foreign(name), |record| Found::Run(Box::new(record))))
    }

    /// The run whose result is being made in the stage of a directory, finished or not.
    ///
    /// # Errors
    /// [`FileError`] where its record cannot be read.
    pub fn staged(path: &Path) -> Result<Option<RunRecord>, FileError> {
        record_in(&path.join(STAGE))
    }

    /// Refuses a directory that another run owns, or that holds anything but a run.
    ///
    /// # Errors
    /// [`RunError`] naming the existing content.
    pub fn refuse_foreign(path: &Path) -> Result<()> {
        let found = Self::look(path)?;
        must_be_free(path)?;
        match found {
            // An interrupted move has no record yet: the run that takes the directory finishes the move.
            Found::Foreign(name) if !swap::is_begun(path) => Err(foreign(path, &name)),
            _ => Ok(()),
        }
    }

    /// Creates and locks the directory; its content is kept. An interrupted swap is finished.
    ///
    /// # Errors
    /// [`FileError`] where it cannot be made; [`distill_core::lock::LockError`] where another run owns it.
    pub fn lock(path: &Path) -> Result<Self> {
        Self::look(path)?;
        let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
        let made = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        atomic::create_directory(path)?;
        let lock = DirectoryLock::acquire(path)?;
        if swap::is_begun(path) {
            swap::finish(path)?;
        }
        swap::tidy(path)?;
        let (target, seen) = (path.to_owned(), Seen::default());
        Ok(OutDir { path: path.to_owned(), target, made, resumed: false, seen, _lock: lock })
    }

    /// Records the state of the inputs before they are hashed.
    pub fn watch(&mut self, seen: Seen) {
        self.seen = seen;
    }

    /// The first input that is not the file any more that it was when the run began.
    pub fn changed_input(&self) -> Option<PathBuf> {
        self.seen.changed()
    }

    /// Starts from the beginning. A finished result is kept until the new one is complete, and so is everything if the stage does not
    /// work in the directory itself.
    ///
    /// # Errors
    /// [`RunError`] naming content that no earlier run wrote, or files that cannot be removed.
    pub fn start_over(&mut self, in_place: bool) -> Result<()> {
        let record = record_in(&self.target)?;
        let own = owned::entries(&self.target, record.as_ref())?;
        self.remove_stage()?;
        let is_finished = record.as_ref().is_some_and(|record| !record.results.is_empty());
        if is_finished || !in_place {
            self.path = self.target.join(STAGE);
            return Ok(atomic::create_directory(&self.path)?);
        }
        if let Some(record) = record {
            // A record without inputs belongs to no run: after a kill below, this starts from the beginning.
            let emptied = RunRecord { inputs: BTreeMap::new(), results: BTreeMap::new(), ..record };
            emptied.write(&self.target)?;
        }
        self.remove_all(&own)?;
        remove_where(&self.target, is_half_written)?;
        remove(&self.target.join(RUN_FILE))
    }

    fn remove_all(&self, names: &[String]) -> Result<()> {
        for name in names {
            match name.as_str() {
                CHECKPOINTS => Checkpoints::new(&self.target, 1).clear()?,
                _ => remove(&self.target.join(name))?,
            }
        }
        Ok(())
    }

    /// Resumes this run, and removes only partly written files.
    ///
    /// # Errors
    /// Where files cannot be removed.
    pub fn resume(&mut self, is_staged: bool) -> Result<()> {
        self.resumed = true;
        if is_staged {
            self.path = self.target.join(STAGE);
        }
        remove_where(&self.path, is_half_written)
    }

    /// Takes back that a run began here. One that got as far as training keeps its record next to the course of it, which
    /// shows what went wrong: the record says whose the directory is, so that a run with better settings may replace it.
    ///
    /// # Errors
    /// Where files cannot be removed.
    pub fn rollback(&self) -> Result<()> {
        let metrics = self.path.join(METRICS_FILE);
        let has_trained = fs::metadata(&metrics).is_ok_and(|course| course.len() > 0);
        if self.is_staged() {
            return if has_trained { Ok(()) } else { self.remove_stage() };
        }
        remove_where(&self.target, is_half_written)?;
        let Some(record) = record_in(&self.target)? else { return Ok(()) };
        let mut own = owned::certain(&self.target, &record)?;
        own.retain(|name| !has_trained || names::is_shard(name) || name == PROGRESS_FILE);
        self.remove_all(&own)?;
        if has_trained { Ok(()) } else { remove(&self.target.join(RUN_FILE)) }
    }

    /// Takes back all that this run wrote, what an earlier part of it wrote too.
    ///
    /// # Errors
    /// Where files cannot be removed.
    pub fn discard(&mut self) -> Result<()> {
        if self.is_staged() { self.remove_stage() } else { self.start_over(true) }
    }

    /// Half of a stage must never look like the whole of one: its record goes first.
    fn remove_stage(&self) -> Result<()> {
        let stage = self.target.join(STAGE);
        remove(&stage.join(RUN_FILE))?;
        remove(&stage)
    }

    /// Notes the files of a finished run in its record, and writes that: the mark of completion.
    ///
    /// # Errors
    /// Where a file cannot be read or the record not written.
    pub fn complete(&self, record: &mut RunRecord) -> Result<()> {
        record.files = owned::marks(&self.path)?;
        Ok(record.write(&self.path)?)
    }

    /// Lets a finished result take its place, where it was made elsewhere.
    ///
    /// # Errors
    /// [`RunError`] naming what has come into its way; where something cannot be moved.
    pub fn swap_in(&self) -> Result<()> {
        if !self.is_staged() {
            return Ok(());
        }
        let old = owned::entries(&self.target, record_in(&self.target)?.as_ref())?;
        swap::swap(&self.target, old)?;
        remove_where(&self.target, is_half_written)
    }

    fn is_staged(&self) -> bool {
        self.path != self.target
    }

    /// Removes the progress of a store whose record is complete.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove_progress(&self) -> Result<()> {
        remove(&self.path.join(PROGRESS_FILE))
    }

    /// Removes the manifest of a store that an earlier part of this run wrote, and did not get to record.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove_manifest(&self) -> Result<()> {
        remove(&self.path.join(distill_data::logits::MANIFEST_FILE))
    }

    /// Whether the directory holds the beginning of this run.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Where the run writes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where its result will be.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Fills a directory under a temporary name and renames it to `name` when it is whole. Its files are noted in the
    /// record before, so that they are the run's from the moment they are seen. Returns where the directory will be.
    ///
    /// # Errors
    /// Those of `fill`, and of the file system; [`RunError`] for a directory of that name that is not the run's.
    pub fn fill_directory(
        &self,
        name: &str,
        record: &RunRecord,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let (temporary, result) = (self.path.join(format!(".{name}.tmp")), self.path.join(name));
        if temporary.exists() {
            fs::remove_dir_all(&temporary).map_err(FileError::of("remove", &temporary))?;
        }
        fs::create_dir(&temporary).map_err(FileError::of("create", &temporary))?;
        let filled = fill(&temporary).and_then(|()| {
            atomic::sync_directory(&temporary)?;
            if !self.is_staged() {
                // One that a killed run left, or that was added since.
                owned::must_be_own(&self.path, record_in(&self.path)?.as_ref(), name)?;
                let files = owned::marks_below(&temporary, name)?;
                RunRecord { files, ..record.clone() }.write(&self.path)?;
            }
            remove(&result)?;
            Ok(atomic::rename_directory(&temporary, &result)?)
        });
        if filled.is_err()
            && let Err(error) = fs::remove_dir_all(&temporary)
        {
            tracing::debug!("{}: {error}", temporary.display());
        }
        filled.map(|()| self.target.join(name))
    }
}

impl Drop for OutDir {
    /// A run that wrote nothing leaves neither a lock nor the directories that were made for it.
    fn drop(&mut self) {
        // A stage that nothing was written to; else this fails, and the stage stays.
        if let Err(error) = fs::remove_dir(self.target.join(STAGE)) {
            tracing::debug!("{}: {error}", self.target.display());
        }
        if self.resumed || self.target.join(STAGE).exists() || !matches!(first_entry(&self.target), Ok(None)) {
            return;
        }
        let lock = self.target.join(LOCK_FILE);
        let removed = fs::remove_file(&lock).and_then(|()| self.made.iter().try_for_each(fs::remove_dir));
        if let Err(error) = removed {
            tracing::debug!("{}: {error}", self.target.display());
        }
    }
}

/// The first name in a directory that is neither the lock nor half-written by a run that was killed.
fn first_entry(path: &Path) -> Result<Option<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot_create(path, &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(FileError::of("read", path))?.file_name().to_string_lossy().into_owned();
        if !is_lock_file(&name) && !is_half_written(&name) && !is_of_swap(&name) {
            names.push(name);
        }
    }
    Ok(names.into_iter().min())
}

/// The record of a directory's run, if there is one.
fn record_in(path: &Path) -> Result<Option<RunRecord>, FileError> {
    match RunRecord::read(path) {
        Ok(record) => Ok(Some(record)),
        Err(error) if is_no_record(error.source.kind()) => Ok(None),
        // What cannot be read now may be the record of a run.
        Err(error) => Err(error),
    }
}

fn is_no_record(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::InvalidData | ErrorKind::IsADirectory)
}

fn remove_where(path: &Path, matches: impl Fn(&str) -> bool) -> Result<()> {
    for entry in fs::read_dir(path).map_err(FileError::of("read", path))? {
        let entry = entry.map_err(FileError::of("read", path))?.path();
        if matches(&entry.file_name().unwrap_or_default().to_string_lossy()) {
            remove(&entry)?;
        }
    }
    Ok(())
}

/// Removes a file, or a directory, which first loses its name: half of it is never seen under that.
fn remove(path: &Path) -> Result<()> {
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

fn cannot_create(path: &Path, error: &std::io::Error) -> RunError {
    RunError::cannot_create(format!("cannot create {}: {error}", path.display()))
}

/// The refusal of a directory that holds anything but a run.
pub fn foreign(path: &Path, name: &str) -> RunError {
    RunError::cannot_create(format!(
        "{} is not empty (it contains {name}); choose another directory or give --overwrite",
        path.display()
    ))
}

#[cfg(test)]
mod tests;
