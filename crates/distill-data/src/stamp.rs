//! What an open file is, and whether it is still the same.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::SystemTime;

use distill_core::StopSignal;
use distill_core::atomic::FileError;
use distill_core::hash::Hasher;

use crate::error::DataError;

/// What the system says of a file, which changes with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    /// Device and inode: another file of the same name has others.
    file: (u64, u64),
    /// When content, mode or links changed: nobody can set it.
    changed: (i64, i64),
}

impl Stamp {
    pub fn of(data: &Metadata) -> Self {
        let (file, changed) = identity(data);
        Stamp { bytes: data.len(), modified: data.modified().ok(), file, changed }
    }

    /// What changed since, in words.
    pub fn difference(&self, now: &Stamp) -> Option<String> {
        if self.file != now.file {
            return Some("another file has its name".to_owned());
        }
        if self.bytes != now.bytes {
            return Some(format!("it had {} bytes, and now has {}", self.bytes, now.bytes));
        }
        (self.modified != now.modified).then(|| "it was written to".to_owned())
    }
}

#[cfg(unix)]
fn identity(data: &Metadata) -> ((u64, u64), (i64, i64)) {
    use std::os::unix::fs::MetadataExt;
    ((data.dev(), data.ino()), (data.ctime(), data.ctime_nsec()))
}

#[cfg(not(unix))]
fn identity(_data: &Metadata) -> ((u64, u64), (i64, i64)) {
    ((0, 0), (0, 0))
}

/// blake3 of an open file, from its first byte to its last.
pub(crate) fn hash_open(mut file: &File, path: &Path, stop: &StopSignal) -> Result<String, DataError> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 20];
    file.rewind().map_err(FileError::of("read", path))?;
    loop {
        stop.check()?;
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => drop(hasher.update(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::new("read", path, error).into()),
        }
    }
}
