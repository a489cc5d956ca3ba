//! `run.json`: a record of a run, so that its result can be explained and reproduced.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic::{self, FileError};
use crate::hash::file_hash;
use crate::read;

/// The file's name inside a run directory.
pub const RUN_FILE: &str = "run.json";
/// Size limit: a record holds settings and figures, not rows.
const MAX_BYTES: u64 = 16 << 20;

/// The record of one run: command, settings, versions, device and the hashes of its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of this file's format.
    pub format_version: u32,
    /// The subcommand: `finetune`, `teacher`, `student`, …
    pub command: String,
    /// Settings after command line, environment and file were merged.
    pub settings: serde_json::Value,
    /// Versions that can change a result: `distill`, `libtorch`.
    pub versions: BTreeMap<String, String>,
    /// Where it ran: device, dtype, threads, instruction set, host.
    pub device: BTreeMap<String, String>,
    /// blake3 of every input, by what the input is.
    pub inputs: BTreeMap<String, String>,
    /// Figures of the finished run: rows, steps, seconds, best metric. Empty until it ends.
    #[serde(default)]
    pub results: BTreeMap<String, serde_json::Value>,
    /// The files that the run wrote, by their path below its directory: what a later run may replace. Records of earlier
    /// versions have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileMark>,
}

/// A file as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMark {
    /// Length in bytes.
    pub bytes: u64,
    /// blake3, as 64 hexadecimal digits.
    pub blake3: String,
}

impl FileMark {
    /// Length and hash of a file as it is now.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let blake3 = file_hash(path).map_err(FileError::of("read", path))?;
        let bytes = std::fs::metadata(path).map_err(FileError::of("read", path))?.len();
        Ok(FileMark { bytes, blake3 })
    }

    /// Whether a file is unchanged. Its length is compared first, which is cheap.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn is(&self, path: &Path) -> Result<bool, FileError> {
        let bytes = std::fs::metadata(path).map_err(FileError::of("read", path))?.len();
        Ok(bytes == self.bytes && file_hash(path).map_err(FileError::of("read", path))? == self.blake3)
    }
}

impl RunRecord {
    /// The version this program writes.
    pub const FORMAT_VERSION: u32 = 1;

    /// Writes `run.json` into `directory`.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn write(&self, directory: &Path) -> Result<(), FileError> {
        let path = directory.join(RUN_FILE);
        let mut json = serde_json::to_vec_pretty(self)
            .map_err(|error| FileError::new("write", &path, std::io::Error::other(error)))?;
        json.push(b'\n');
        atomic::write(&path, &json)
    }

    /// Reads `run.json` from `directory`.
    ///
    /// # Errors
    /// [`FileError`] naming the file, also if its content is not a run record.
    pub fn read(directory: &Path) -> Result<Self, FileError> {
        let path = directory.join(RUN_FILE);
        let bytes = read::bounded(&path, MAX_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            FileError::new("read", &path, std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        })
    }
}
