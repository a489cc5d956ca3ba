//! `metrics.jsonl`: one object a logged step, flushed line by line so that a watcher sees it grow.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
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
        /// Share of labelled rows predicted right; none without labels.
        accuracy: Option<f64>,
        /// Share of rows where student and teacher predict the same; none without a teacher.
        agreement: Option<f64>,
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
    /// `metrics.jsonl` in `directory`, cut to its first `bytes`: 0 for a new run.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn open(directory: &Path, bytes: u64) -> Result<Self, FileError> {
        let path = directory.join(METRICS_FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(FileError::of("create", &path))?;
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
    /// [`FileError`] naming the file.
    pub fn write(&mut self, line: &Line) -> Result<(), FileError> {
        let failed = |error: std::io::Error| FileError::new("write", &self.path, error);
        let mut text = serde_json::to_string(line).map_err(|error| failed(std::io::Error::other(error)))?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(failed)?;
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
