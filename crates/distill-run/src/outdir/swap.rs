//! Replaces an old result by a new one.
//!
//! The new one is complete in [`STAGE`]. The journal of moves is written first; from then on the new result is the
//! valid one, and a process that finds the journal finishes the work: a kill at any point leads to the complete new result.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use distill_core::atomic::{self, FileError};
use distill_core::read;
use distill_core::record::RUN_FILE;
use distill_student::checkpoint::{CHECKPOINTS, Checkpoints};
use serde::{Deserialize, Serialize};

use super::names::{JOURNAL, REPLACED, STAGE, is_half_written};
use super::owned::listed;
use super::remove;
use crate::error::Result;

/// More than the names of any result take.
const MAX_BYTES: u64 = 64 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    /// Names of the old result.
    remove: Vec<String>,
    /// Names of the new one, its record last.
    place: Vec<String>,
}

/// Whether a result is being moved, or was when its process ended.
pub fn is_begun(out: &Path) -> bool {
    out.join(JOURNAL).exists()
}

/// Whether a directory has something of a run that was killed: during or after a swap, or before it wrote its record.
pub fn has_left_overs(out: &Path) -> bool {
    exists(&out.join(REPLACED))
        || (exists(&out.join(STAGE)) && !exists(&out.join(STAGE).join(RUN_FILE)))
        || listed(out).is_ok_and(|names| names.iter().any(|name| is_half_written_journal(name)))
}

/// Removes that.
///
/// # Errors
/// Where it cannot be removed.
pub fn tidy(out: &Path) -> Result<()> {
    if has_left_overs(out) {
        remove(&out.join(REPLACED))?;
        if !exists(&out.join(STAGE).join(RUN_FILE)) {
            remove(&out.join(STAGE))?;
        }
        super::remove_where(out, is_half_written_journal)?;
    }
    Ok(())
}

/// A journal that a kill left under its temporary name.
fn is_half_written_journal(name: &str) -> bool {
    name.starts_with(&format!(".{JOURNAL}.")) && is_half_written(name)
}

/// Moves the content of the stage into `out`, replacing the entries `old`.
///
/// # Errors
/// Where something cannot be moved: the next run finishes that.
pub fn swap(out: &Path, old: Vec<String>) -> Result<()> {
    let mut place: Vec<String> = listed(&out.join(STAGE))?
        .into_iter()
        .filter(|name| !name.starts_with('.') && name != RUN_FILE)
        .collect();
    place.push(RUN_FILE.to_owned());
    let path = out.join(JOURNAL);
    let json = serde_json::to_vec_pretty(&Journal { remove: old, place })
        .map_err(|error| FileError::new("write", &path, std::io::Error::other(error)))?;
    atomic::sync_directory(&out.join(STAGE))?;
    atomic::write(&path, &json)?;
    finish(out)
}

/// Finishes a swap that was begun.
///
/// # Errors
/// As [`swap`].
pub fn finish(out: &Path) -> Result<()> {
    let (path, stage, replaced) = (out.join(JOURNAL), out.join(STAGE), out.join(REPLACED));
    let Journal { remove: old, place } = serde_json::from_slice(&read::bounded(&path, MAX_BYTES)?)
        .map_err(|error| FileError::new("read", &path, std::io::Error::new(ErrorKind::InvalidData, error)))?;
    if let Err(error) = fs::create_dir(&replaced)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(FileError::new("create", &replaced, error).into());
    }
    for name in &old {
        if name == CHECKPOINTS {
            Checkpoints::new(out, 1).clear()?;
            continue;
        }
        let is_new = place.contains(name) && !exists(&stage.join(name));
        if !is_new && exists(&out.join(name)) {
            remove(&replaced.join(name))?;
            atomic::rename_directory(&out.join(name), &replaced.join(name))?;
        }
    }
    for name in place.iter().filter(|name| exists(&stage.join(name))) {
        atomic::rename_directory(&stage.join(name), &out.join(name))?;
    }
    fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
    atomic::sync_directory(out)?;
    remove(&replaced)?;
    remove(&stage)
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
