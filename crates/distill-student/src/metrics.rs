//! `metrics.jsonl`: one object a logged step, flushed line by line so that a watcher sees it grow.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
use distill_core::open;
use distill_task::Figures;
use serde::Serialize;

/// The file's name inside a run directory.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// Training, since the line before.
    Train {
        /// Steps done.
        global_step: u64,
        /// Epochs done, with the part of the running one.
        epoch: f64,
        /// Mean loss of the rows since the last line.
        loss: f64,
        /// `exp(loss)`, where masked tokens are predicted and nothing else.
        #[serde(skip_serializing_if = "Option::is_none")]
        perplexity: Option<f64>,
        /// Norm of the last step's gradients before clipping.
        grad_norm: f64,
        /// Learning rate of the last step.
        learning_rate: f64,
        /// Rows trained on a second since the last line.
        rows_per_second: f64,
    },
    /// The validation part, after an epoch.
    Validation {
        /// Steps done.
        global_step: u64,
        /// Epochs done.
        epoch: f64,
        /// Mean loss without dropout.
        loss: f64,
        /// What the task measures, next to the loss.
        #[serde(flatten)]
        figures: Figures,
        /// Whether this is the best so far.
        best: bool,
    },
}

/// Appends lines to `metrics.jsonl`.
pub struct MetricsFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl MetricsFile {
    /// `metrics.jsonl` in `directory`, cut to its first `bytes`: 0 for a new run. A file that is shorter has
    /// lost lines, which is said and costs nothing else.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn open(directory: &Path, bytes: u64) -> Result<Self, FileError> {
        let path = directory.join(METRICS_FILE);
        let mut file = open::to_change(&path)?;
        let length = file.metadata().map_err(FileError::of("read", &path))?.len();
        if length < bytes {
            tracing::warn!("{} has lost {} bytes since the checkpoint", path.display(), bytes - length);
        }
        let bytes = bytes.min(length);
        file.set_len(bytes)
            .and_then(|()| file.seek(SeekFrom::Start(bytes)))
            .map_err(FileError::of("write", &path))?;
        Ok(MetricsFile { path, file, bytes })
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds one line.
    ///
    /// # Errors
    /// [`FileError`] naming the file, which ends with the line before.
    pub fn write(&mut self, line: &Line) -> Result<(), FileError> {
        let failed = |error: std::io::Error| FileError::new("write", &self.path, error);
        let mut text = serde_json::to_string(line).map_err(|error| failed(std::io::Error::other(error)))?;
        text.push('\n');
        if let Err(error) = self.file.write_all(text.as_bytes()) {
            // Half a line would not be one; where even that fails, resuming cuts it off.
            if let Err(left) = self.file.set_len(self.bytes) {
                tracing::debug!("{}: {left}", self.path.display());
            }
            return Err(failed(error));
        }
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Makes the lines durable.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file.sync_all().map_err(FileError::of("sync", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lines_are_cut_off_and_lost_ones_are_not_made_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(METRICS_FILE);
        distill_core::atomic::write(&path, b"{}\n{}\n{\"ha").unwrap();
        assert_eq!(MetricsFile::open(directory.path(), 3).unwrap().bytes(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
        assert_eq!(MetricsFile::open(directory.path(), 9).unwrap().bytes(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
    }
}
