//! blake3 for manifests, fingerprints and joins.

use std::io::{self, Read};
use std::path::Path;

use thiserror::Error;

use crate::atomic::FileError;
use crate::category::Category;
use crate::open;
use crate::stop::{StopReason, StopSignal};

/// Bytes of a text hash: long enough to exclude collisions, half the space of a full hash.
pub const TEXT_HASH_LEN: usize = 16;

/// The key that joins are checked with: the first 16 bytes of blake3 over the text fields.
///
/// A single text is hashed as its UTF-8 bytes; a pair as `text`, one zero byte, `text_pair`.
pub fn text_hash(text: &str, text_pair: Option<&str>) -> [u8; TEXT_HASH_LEN] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(text.as_bytes());
    if let Some(pair) = text_pair {
        hasher.update(&[0]);
        hasher.update(pair.as_bytes());
    }
    let mut short = [0; TEXT_HASH_LEN];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..TEXT_HASH_LEN]);
    short
}

/// A file that was not hashed to its end.
#[derive(Debug, Error)]
pub enum HashError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run was asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
}

impl HashError {
    /// The kind of failure, which decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            HashError::File(error) => error.category(),
            HashError::Stopped(reason) => reason.category(),
        }
    }
}

/// blake3 of a file's bytes, as 64 hexadecimal digits. Memory does not grow with the file.
///
/// # Errors
/// The operating system's, when the file cannot be opened or read.
pub fn file_hash(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    each_part(path, |part| {
        hasher.update(part);
        true
    })?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// As [`file_hash`], for large files: checks for a stop.
///
/// # Errors
/// [`HashError`] naming the file, or saying why to stop.
pub fn file_hash_until(path: &Path, stop: &StopSignal) -> Result<String, HashError> {
    let mut hasher = blake3::Hasher::new();
    let mut stopped = Ok(());
    each_part(path, |part| {
        hasher.update(part);
        stopped = stop.check();
        stopped.is_ok()
    })
    .map_err(FileError::of("read", path))?;
    stopped?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Passes a file to `each` in parts, until it breaks off.
fn each_part(path: &Path, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut file = open::to_read(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) if !each(&buffer[..read]) => return Ok(()),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
    }
}

/// blake3 of bytes in memory, as 64 hexadecimal digits.
pub fn bytes_hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// blake3 of bytes in memory.
pub fn digest(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}

/// blake3 of bytes that come in pieces; the boundaries of the pieces do not matter.
#[derive(Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of all bytes so far, as 64 hexadecimal digits.
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// One hash for an ordered list of named parts, each length-prefixed so that no two lists collide.
pub fn parts_hash<'a>(parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in parts {
        for part in [name, value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_hash_tells_a_pair_from_a_single_text() {
        assert_ne!(text_hash("ab", None), text_hash("a", Some("b")));
        assert_ne!(text_hash("a", None), text_hash("a", Some("")));
        assert_eq!(text_hash("a", None)[..], blake3::hash(b"a").as_bytes()[..16]);
    }

    #[test]
    fn hashing_a_file_stops_when_asked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        crate::atomic::write(file.path(), b"abc").unwrap();
        let stop = StopSignal::default();
        assert_eq!(file_hash_until(file.path(), &stop).unwrap(), bytes_hash(b"abc"));
        stop.raise(StopReason::Terminate);
        assert!(matches!(file_hash_until(file.path(), &stop), Err(HashError::Stopped(_))));
    }

    #[test]
    fn parts_hash_depends_on_where_one_part_ends() {
        assert_ne!(parts_hash([("a", "bc")]), parts_hash([("ab", "c")]));
        assert_eq!(Hasher::default().update(b"a").update(b"bc").finish(), bytes_hash(b"abc"));
    }
}
