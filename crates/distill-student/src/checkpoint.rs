//! Checkpoints: everything that the next step depends on, complete or absent.
//!
//! `checkpoints/step-000500/` holds `tensors.safetensors` (weights, optimizer, best weights so far),
//! `state.json` (position and counters) and `manifest.json` (length and hash of both). It is filled under a
//! temporary name and renamed when it is whole; an old one is renamed back before it is removed. What has
//! another name is not ours and stays.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use distill_core::atomic::{self, FileError};
use distill_core::hash::{bytes_hash, file_hash};
use distill_core::read::bounded;
use distill_model::{ModelError, weights};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::TrainError;
use crate::evaluate::Evaluation;

/// The directory of checkpoints inside a run directory.
pub const CHECKPOINTS: &str = "checkpoints";
const STATE_FILE: &str = "state.json";
const TENSORS_FILE: &str = "tensors.safetensors";
const MANIFEST_FILE: &str = "manifest.json";
const FORMAT_VERSION: u32 = 2;
/// More than the size of any state or manifest.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// Position and counters of a run between two steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps done.
    pub global_step: u64,
    /// Epochs done and validated.
    pub epoch: u32,
    /// Batches of the running epoch that are done.
    pub batch: usize,
    /// How far dropout masks have been drawn.
    pub dropout_counter: u64,
    /// What the rows of the vocabulary that do not occur have decayed by.
    pub vocabulary_decay: f64,
    /// The same in the mean of the weights.
    #[serde(default = "undecayed")]
    pub mean_vocabulary_decay: f64,
    /// Sum over rows of the loss since the last logged line.
    pub loss_sum: f64,
    /// Rows since the last logged line.
    pub loss_rows: usize,
    /// Length of `metrics.jsonl`: later lines belong to steps that are done again.
    pub metrics_bytes: u64,
    /// The best epoch so far and its figures.
    pub best: Option<(u32, Evaluation)>,
}

fn undecayed() -> f64 {
    1.0
}

/// A checkpoint in memory.
pub struct Checkpoint {
    /// Position and counters.
    pub state: State,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
}

/// `manifest.json`: what the other files must be.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format_version: u32,
    files: BTreeMap<String, FileMark>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileMark {
    bytes: u64,
    blake3: String,
}

/// The checkpoints of one run.
pub struct Checkpoints {
    directory: PathBuf,
    keep_last: usize,
}

impl Checkpoints {
    /// Checkpoints below a run directory, of which the newest `keep_last` stay.
    pub fn new(run_directory: &Path, keep_last: usize) -> Self {
        Checkpoints { directory: run_directory.join(CHECKPOINTS), keep_last: keep_last.max(1) }
    }

    /// Writes a checkpoint, then removes the oldest beyond those that stay.
    ///
    /// # Errors
    /// [`TrainError`] naming the file that cannot be written; the checkpoints before are untouched.
    pub fn save(&self, state: &State, tensors: &[(String, Tensor)]) -> Result<PathBuf, TrainError> {
        atomic::create_directory(&self.directory)?;
        let name = self.next_name(state.global_step)?;
        let (temporary, target) = (self.temporary(&name), self.directory.join(&name));
        remove(&temporary)?;
        fs::create_dir(&temporary).map_err(FileError::of("create", &temporary))?;
        let written =
            fill(&temporary, state, tensors).and_then(|()| Ok(atomic::rename_directory(&temporary, &target)?));
        if let Err(error) = written {
            // On a full disk, do not leave a partial checkpoint.
            if let Err(left) = remove(&temporary) {
                tracing::debug!("{left}");
            }
            return Err(error);
        }
        let Listing { complete, half } = self.listing()?;
        half.iter().try_for_each(|path| remove(path))?;
        for (_, name) in complete.iter().rev().skip(self.keep_last) {
            self.discard(name)?;
        }
        Ok(target)
    }

    /// The newest checkpoint that is whole, or none. A damaged one is passed over with a warning.
    ///
    /// # Errors
    /// [`TrainError`] where the system refuses to read: what cannot be read now may be whole.
    pub fn newest(&self) -> Result<Option<Checkpoint>, TrainError> {
        for (_, name) in self.listing()?.complete.into_iter().rev() {
            let path = self.directory.join(name);
            match load(&path) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(Unusable::Damaged(why)) => tracing::warn!("{} is passed over: {why}", path.display()),
                Err(Unusable::Refused(error)) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Removes all checkpoints of a run that is over, and their directory where nothing else is in it.
    ///
    /// # Errors
    /// [`TrainError`] naming what cannot be removed.
    pub fn clear(&self) -> Result<(), TrainError> {
        let Listing { complete, half } = self.listing()?;
        half.iter().try_for_each(|path| remove(path))?;
        complete.iter().try_for_each(|(_, name)| self.discard(name))?;
        match fs::remove_dir(&self.directory) {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
                Err(FileError::new("remove", &self.directory, error).into())
            }
            _ => Ok(()),
        }
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.directory.join(format!(".{name}.tmp"))
    }

    /// `step-000500`; where that step was saved before, `step-000500.1`, which is newer and next to which the
    /// earlier one stays until this one is whole.
    fn next_name(&self, global_step: u64) -> Result<String, TrainError> {
        let saved = self.listing()?.complete;
        let again = saved.iter().filter(|((step, _), _)| *step == global_step).map(|((_, again), _)| again + 1);
        Ok(match again.max() {
            None => format!("step-{global_step:06}"),
            Some(again) => format!("step-{global_step:06}.{again}"),
        })
    }

    /// Takes a checkpoint its name, then removes it: half of one is never seen under a checkpoint's name.
    fn discard(&self, name: &str) -> Result<(), TrainError> {
        let temporary = self.temporary(name);
        remove(&temporary)?;
        atomic::rename_directory(&self.directory.join(name), &temporary)?;
        remove(&temporary)
    }

    fn listing(&self) -> Result<Listing, TrainError> {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listing),
            Err(error) => return Err(FileError::new("read", &self.directory, error).into()),
        };
        for entry in entries {
            let path = entry.map_err(FileError::of("read", &self.directory))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(position) = position(&name) {
                listing.complete.push((position, name));
            } else if name
                .strip_prefix('.')
                .and_then(|name| name.strip_suffix(".tmp"))
                .and_then(position)
                .is_some()
            {
                listing.half.push(path);
            }
        }
        listing.complete.sort();
        Ok(listing)
    }
}

/// The entries of the directory of checkpoints that belong to us.
#[derive(Default)]
struct Listing {
    /// Names by step, and by how often that step was saved before.
    complete: Vec<((u64, u64), String)>,
    half: Vec<PathBuf>,
}

/// `(500, 0)` for `step-000500`, `(500, 1)` for `step-000500.1`.
fn position(name: &str) -> Option<(u64, u64)> {
    let step = name.strip_prefix("step-")?;
    match step.split_once('.') {
        None => Some((step.parse().ok()?, 0)),
        Some((step, again)) => Some((step.parse().ok()?, again.parse().ok()?)),
    }
}

/// Writes the files of a checkpoint, the manifest last.
fn fill(directory: &Path, state: &State, tensors: &[(String, Tensor)]) -> Result<(), TrainError> {
    let tensors_file = directory.join(TENSORS_FILE);
    weights::write(&tensors_file, tensors)?;
    let tensors_mark = mark(&tensors_file).map_err(FileError::of("read", &tensors_file))?;
    let state_json = write_json(&directory.join(STATE_FILE), state)?;
    let state_mark = FileMark { bytes: state_json.len() as u64, blake3: bytes_hash(&state_json) };
    let files = [(STATE_FILE, state_mark), (TENSORS_FILE, tensors_mark)];
    let files = files.map(|(name, mark)| (name.to_owned(), mark)).into();
    write_json(&directory.join(MANIFEST_FILE), &Manifest { format_version: FORMAT_VERSION, files })?;
    Ok(())
}

fn mark(path: &Path) -> io::Result<FileMark> {
    Ok(FileMark { bytes: fs::metadata(path)?.len(), blake3: file_hash(path)? })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, TrainError> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| FileError::new("write", path, io::Error::other(error)))?;
    atomic::write(path, &json)?;
    Ok(json)
}

/// Why a checkpoint cannot be gone on from.
enum Unusable {
    Damaged(String),
    Refused(FileError),
}

fn load(directory: &Path) -> Result<Checkpoint, Unusable> {
    let damaged = |name: &str, why: String| Unusable::Damaged(format!("{name}: {why}"));
    let refused = |name: &str, error: io::Error| match error.kind() {
        ErrorKind::NotFound => damaged(name, "it is missing".to_owned()),
        ErrorKind::InvalidData => damaged(name, error.to_string()),
        _ => Unusable::Refused(FileError::new("read", &directory.join(name), error)),
    };
    let read = |name: &str| {
        bounded(&directory.join(name), MAX_JSON_BYTES).map_err(|error| refused(name, error.source))
    };
    let manifest: Manifest = serde_json::from_slice(&read(MANIFEST_FILE)?)
        .map_err(|error| damaged(MANIFEST_FILE, error.to_string()))?;
    if manifest.format_version != FORMAT_VERSION {
        let why = format!("format version {}, expected {FORMAT_VERSION}", manifest.format_version);
        return Err(damaged(MANIFEST_FILE, why));
    }
    let check = |name: &str, found: FileMark| match manifest.files.get(name) {
        Some(mark) if *mark == found => Ok(()),
        _ => Err(damaged(name, "it is not the file that was written".to_owned())),
    };
    let state = read(STATE_FILE)?;
    check(STATE_FILE, FileMark { bytes: state.len() as u64, blake3: bytes_hash(&state) })?;
    let state = serde_json::from_slice(&state).map_err(|error| damaged(STATE_FILE, error.to_string()))?;
    check(TENSORS_FILE, mark(&directory.join(TENSORS_FILE)).map_err(|error| refused(TENSORS_FILE, error))?)?;
    let tensors = weights::read(&[directory.join(TENSORS_FILE)]).map_err(|error| match error {
        ModelError::File(error) => Unusable::Refused(error),
        other => damaged(TENSORS_FILE, other.to_string()),
    })?;
    Ok(Checkpoint { state, tensors })
}

fn remove(path: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::new("remove", path, error).into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
