//! Where a run can go on from: everything that the next step depends on, complete or absent.
//!
//! `checkpoints/step-000500/` holds `tensors.safetensors` (weights, optimizer, best weights so far) and
//! `state.json` (position, counters, the tensors' hash). It is filled under a temporary name and
//! renamed when it is whole.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use distill_core::atomic::{self, FileError};
use distill_core::hash::file_hash;
use distill_model::weights;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::TrainError;
use crate::evaluate::Evaluation;

/// The directory of checkpoints inside a run directory.
pub const CHECKPOINTS: &str = "checkpoints";
const STATE_FILE: &str = "state.json";
const TENSORS_FILE: &str = "tensors.safetensors";
const FORMAT_VERSION: u32 = 1;

/// Position and counters of a run between two steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the format.
    pub format_version: u32,
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
    /// blake3 of the tensors' file.
    pub tensors: String,
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

    /// Writes a checkpoint and removes the oldest beyond those that stay.
    ///
    /// # Errors
    /// [`TrainError`] naming the file that cannot be written; the checkpoints before are untouched.
    pub fn save(&self, mut state: State, tensors: &[(String, Tensor)]) -> Result<PathBuf, TrainError> {
        let name = format!("step-{:06}", state.global_step);
        let (temporary, target) = (self.directory.join(format!(".{name}.tmp")), self.directory.join(&name));
        remove(&temporary)?;
        fs::create_dir_all(&temporary).map_err(FileError::of("create", &temporary))?;
        let tensors_file = temporary.join(TENSORS_FILE);
        weights::write(&tensors_file, tensors)?;
        state.format_version = FORMAT_VERSION;
        state.tensors = file_hash(&tensors_file).map_err(FileError::of("read", &tensors_file))?;
        let state_file = temporary.join(STATE_FILE);
        let json = serde_json::to_vec_pretty(&state)
            .map_err(|error| FileError::new("write", &state_file, std::io::Error::other(error)))?;
        atomic::write(&state_file, &json)?;
        // The same step is saved twice when a run is stopped right after a checkpoint.
        remove(&target)?;
        atomic::rename_directory(&temporary, &target)?;
        for (_, old) in self.complete()?.iter().rev().skip(self.keep_last) {
            remove(old)?;
        }
        Ok(target)
    }

    /// The newest checkpoint that is whole, or none. A damaged one is passed over with a warning.
    ///
    /// # Errors
    /// [`TrainError`] where the directory cannot be read.
    pub fn newest(&self) -> Result<Option<Checkpoint>, TrainError> {
        for (_, path) in self.complete()?.into_iter().rev() {
            match load(&path) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(why) => tracing::warn!("{} is passed over: {why}", path.display()),
            }
        }
        Ok(None)
    }

    /// Removes all checkpoints of a run that is over.
    ///
    /// # Errors
    /// [`TrainError`] naming what cannot be removed.
    pub fn clear(&self) -> Result<(), TrainError> {
        remove(&self.directory)
    }

    /// Directories with a complete name, by step. Others are left alone.
    fn complete(&self) -> Result<Vec<(u64, PathBuf)>, TrainError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::new("read", &self.directory, error).into()),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(FileError::of("read", &self.directory))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(step) = name.strip_prefix("step-").and_then(|step| step.parse().ok()) {
                found.push((step, path));
            }
        }
        found.sort();
        Ok(found)
    }
}

fn load(path: &Path) -> Result<Checkpoint, String> {
    let bytes = fs::read(path.join(STATE_FILE)).map_err(|error| format!("{STATE_FILE}: {error}"))?;
    let state: State = serde_json::from_slice(&bytes).map_err(|error| format!("{STATE_FILE}: {error}"))?;
    if state.format_version != FORMAT_VERSION {
        return Err(format!("format version {}, expected {FORMAT_VERSION}", state.format_version));
    }
    let tensors_file = path.join(TENSORS_FILE);
    let hash = file_hash(&tensors_file).map_err(|error| format!("{TENSORS_FILE}: {error}"))?;
    if hash != state.tensors {
        return Err(format!("{TENSORS_FILE} is not the file that was written"));
    }
    let tensors = weights::read(&[tensors_file]).map_err(|error| error.to_string())?;
    Ok(Checkpoint { state, tensors })
}

fn remove(path: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(FileError::new("remove", path, error).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(global_step: u64) -> State {
        State { global_step, vocabulary_decay: 0.1 + 0.2, loss_sum: 1.0 / 3.0, ..State::default() }
    }

    #[test]
    fn the_newest_whole_checkpoint_is_found_and_old_ones_go() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(run.path(), 2);
        assert!(checkpoints.newest().unwrap().is_none());
        let tensors = [("w".to_owned(), Tensor::from_slice(&[1f32, 2.]))];
        for step in [5, 10, 15] {
            checkpoints.save(state(step), &tensors).unwrap();
        }
        assert!(!run.path().join("checkpoints/step-000005").exists());
        let newest = checkpoints.newest().unwrap().unwrap();
        assert_eq!(State { tensors: String::new(), format_version: 0, ..newest.state }, state(15));
        assert_eq!(newest.tensors["w"], tensors[0].1);

        // A half-written directory is ignored, a damaged one passed over.
        fs::create_dir(run.path().join("checkpoints/.step-000020.tmp")).unwrap();
        let file = run.path().join("checkpoints/step-000015/tensors.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        atomic::write(&file, &bytes).unwrap();
        assert_eq!(checkpoints.newest().unwrap().unwrap().state.global_step, 10);
    }
}
