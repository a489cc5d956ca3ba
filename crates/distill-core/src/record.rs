//! `run.json`: what a run was, so that its result can be explained and repeated.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::atomic::{self, FileError};
use crate::read;

/// The file's name inside a run directory.
pub const RUN_FILE: &str = "run.json";
/// A record holds settings and figures, no rows.
const MAX_BYTES: u64 = 16 << 20;

/// What one run was: command, settings, versions, device and the hashes of its inputs.
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
    /// [`FileError`] naming the file, also where its content is not a run record.
    pub fn read(directory: &Path) -> Result<Self, FileError> {
        let path = directory.join(RUN_FILE);
        let bytes = read::bounded(&path, MAX_BYTES)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            FileError::new("read", &path, std::io::Error::new(std::io::ErrorKind::InvalidData, error))
        })
    }
}
