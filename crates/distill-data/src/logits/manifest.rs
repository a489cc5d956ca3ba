//! `manifest.json`: the shards of a store.

use std::io;
use std::path::{Component, Path};

use distill_core::atomic::{self, FileError};
use distill_core::hash::bytes_hash;
use distill_core::read::bounded;
use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use crate::error::DataError;

/// The manifest's name inside a store.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Some 300 bytes a shard, and the label map.
const MAX_BYTES: u64 = 256 << 20;

/// A finished file of logits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The file's name, without a directory.
    pub name: String,
    /// Number of rows.
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// blake3 of its bytes, as 64 hexadecimal digits.
    pub blake3: String,
}

/// One shard of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The file.
    #[serde(flatten)]
    pub file: FileEntry,
    /// Position in the source of its first row, from 0.
    pub first_row: u64,
}

/// What a store holds. A store of one machine's shards may start at any row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file's format.
    pub format_version: u32,
    /// What the logits belong to.
    pub fingerprint: Fingerprint,
    /// Rows of all shards.
    pub rows: u64,
    /// Rows of the whole source, of which a part of the shards holds only some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_rows: Option<u64>,
    /// The shards in the order of their rows.
    pub shards: Vec<Shard>,
}

impl Manifest {
    /// The version that this program writes and reads.
    pub const FORMAT_VERSION: u32 = 1;

    /// A manifest of these shards, which are put in the order of their rows.
    pub fn new(fingerprint: Fingerprint, mut shards: Vec<Shard>, source_rows: Option<u64>) -> Self {
        shards
            .sort_by(|left, right| (left.first_row, &left.file.name).cmp(&(right.first_row, &right.file.name)));
        let rows = shards.iter().map(|shard| shard.file.rows).sum();
        let format_version = Fingerprint::version_of(fingerprint.problem_type);
        Manifest { format_version, fingerprint, rows, source_rows, shards }
    }

    /// Writes `manifest.json` into a store's directory; the shards must be there already.
    ///
    /// # Errors
    /// [`DataError::File`].
    pub fn write(&self, directory: &Path) -> Result<(), DataError> {
        let path = directory.join(MANIFEST_FILE);
        let json = serde_json::to_vec_pretty(self);
        let mut json = json.map_err(|error| FileError::new("write", &path, io::Error::other(error)))?;
        json.push(b'\n');
        Ok(atomic::write(&path, &json)?)
    }

    /// Reads `manifest.json` of a store and checks that it agrees with itself.
    ///
    /// # Errors
    /// [`DataError::File`]; [`DataError::Damaged`] with line and column, or what disagrees.
    pub fn read(directory: &Path) -> Result<Self, DataError> {
        Ok(Self::read_hashed(directory)?.0)
    }

    /// As [`Manifest::read`], with blake3 of what was read.
    ///
    /// # Errors
    /// As [`Manifest::read`].
    pub fn read_hashed(directory: &Path) -> Result<(Self, String), DataError> {
        let path = directory.join(MANIFEST_FILE);
        let bytes = bounded(&path, MAX_BYTES)?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| DataError::damaged(&path, error.to_string()))?;
        manifest.check().map_err(|what| DataError::damaged(&path, what))?;
        Ok((manifest, bytes_hash(&bytes)))
    }

    fn check(&self) -> Result<(), String> {
        let known = Fingerprint::version_of(self.fingerprint.problem_type);
        if self.format_version != known {
            return Err(format!("format version {}, but this program reads {known}", self.format_version));
        }
        let sum = self.shards.iter().try_fold(0u64, |sum, shard| sum.checked_add(shard.file.rows));
        if sum != Some(self.rows) {
            return Err(format!("it lists {} rows, but its shards have another total", self.rows));
        }
        for shard in &self.shards {
            let mut parts = Path::new(&shard.file.name).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(format!("{:?} is not a file name", shard.file.name));
            }
        }
        for pair in self.shards.windows(2) {
            if pair[0].first_row.checked_add(pair[0].file.rows) > Some(pair[1].first_row) {
                return Err(format!("{} and {} overlap", pair[0].file.name, pair[1].file.name));
            }
        }
        Ok(())
    }
}

/// `train-00000-of-00004.parquet` for shard 0 of 4.
pub fn shard_name(index: usize, count: usize) -> String {
    format!("train-{index:05}-of-{count:05}.parquet")
}
