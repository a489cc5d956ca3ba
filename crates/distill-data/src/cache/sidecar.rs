//! `KEY.tokens.json`: what a complete cache file holds. Written last, so that where it stands the cache is whole.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use distill_core::atomic::{self, FileError};
use distill_core::open;
use serde::{Deserialize, Serialize};

use super::CacheError;

/// A sidecar is a few hundred bytes; a foreign file of that name may be anything.
const MAX_BYTES: u64 = 1 << 16;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sidecar {
    pub format: u32,
    pub key: String,
    /// What it was made of, for people.
    #[serde(default)]
    pub about: String,
    pub rows: u64,
    pub tokens: u64,
    /// Length of the Arrow file.
    pub bytes: u64,
    /// Hash of the Arrow file, 64 hexadecimal digits.
    pub blake3: String,
}

/// The files of one key.
pub(super) struct Paths {
    pub arrow: PathBuf,
    pub sidecar: PathBuf,
    pub lock: PathBuf,
}

/// Why a cache is not opened.
pub(super) enum Refusal {
    Absent,
    System(FileError),
    Bad(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Refusal::Bad(why)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Absent => write!(f, "it is missing"),
            Refusal::System(error) => write!(f, "{error}"),
            Refusal::Bad(why) => write!(f, "{why}"),
        }
    }
}

impl Paths {
    pub fn of(directory: &Path, key: &str) -> Result<Self, CacheError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if key.is_empty() || key.len() > 128 || !key.bytes().all(plain) {
            return Err(CacheError::Key(key.to_owned()));
        }
        let file = |extension: &str| directory.join(format!("{key}.tokens.{extension}"));
        Ok(Paths { arrow: file("arrow"), sidecar: file("json"), lock: file("lock") })
    }
}

impl Sidecar {
    /// Reads a sidecar.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let mut text = Vec::new();
        open::to_read(path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
            .map_err(|error| Refusal::System(FileError::new("read", path, error)))?;
        serde_json::from_slice(&text)
            .map_err(|error| Refusal::Bad(format!("its sidecar cannot be read: {error}")))
    }

    pub fn write(&self, path: &Path) -> Result<(), CacheError> {
        let text =
            serde_json::to_vec_pretty(self).map_err(|error| FileError::new("write", path, error.into()))?;
        Ok(atomic::write(path, &text)?)
    }
}
