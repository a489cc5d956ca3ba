//! Whether a file that is read is the one that was hashed: runs take hours, and editors save in between.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use distill_core::atomic::FileError;
use distill_core::hash::{Hasher, parts_hash};

use super::Source;
use crate::error::DataError;
use crate::stamp::Stamp;

/// What the files of a source were at one time.
#[derive(Clone, Debug)]
pub struct Seen(Vec<Stamp>);

impl Source {
    /// What its files are now, for [`Source::must_be`].
    ///
    /// # Errors
    /// [`DataError::File`].
    pub fn seen(&self) -> Result<Seen, DataError> {
        let stamp = |path: &Arc<Path>| -> Result<Stamp, DataError> {
            Ok(Stamp::of(&std::fs::metadata(path).map_err(FileError::of("read", path))?))
        };
        self.files().iter().map(stamp).collect::<Result<_, _>>().map(Seen)
    }

    /// Refuses a source whose files are others than when they were seen. Where only mode or links may have changed,
    /// and it is known what the files must hold, they are hashed again.
    ///
    /// # Errors
    /// [`DataError::Changed`] naming the file; [`DataError::File`].
    pub fn must_be(&self, seen: &Seen) -> Result<(), DataError> {
        let now = self.seen()?;
        for ((path, before), now) in self.files().iter().zip(&seen.0).zip(&now.0) {
            if let Some(what) = before.difference(now) {
                return Err(DataError::Changed { file: path.to_path_buf(), what });
            }
        }
        match self.expected() {
            Some(expected) if seen.0 != now.0 && *self.hash()? != **expected => {
                let what = "it was written to".to_owned();
                Err(DataError::Changed { file: self.path().to_owned(), what })
            }
            _ => Ok(()),
        }
    }
}

/// The files of a source while they are read: each is hashed, and all together are compared with what they must hold.
pub(crate) struct Watch {
    source: PathBuf,
    expected: Arc<str>,
    /// Whether the source is one file; of several, the names count too.
    single: bool,
    parts: Vec<(String, String)>,
}

impl Watch {
    pub fn of(source: &Source) -> Option<Self> {
        let (expected, single) = (source.expected()?.clone(), source.is_one_file());
        Some(Watch { source: source.path().to_owned(), expected, single, parts: Vec::new() })
    }

    /// Takes the hash of a file that was read to its end.
    pub fn file(&mut self, path: &Path, hash: String) {
        self.parts.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), hash));
    }

    /// Compares all files, which have been read to their ends.
    pub fn end(&self) -> Result<(), DataError> {
        let found = combined(self.single, &self.parts);
        if *found == *self.expected {
            return Ok(());
        }
        let what = format!("its blake3 was {}, but that of the content read is {found}", self.expected);
        Err(DataError::Changed { file: self.source.clone(), what })
    }
}

/// One hash for all files of a source.
pub(super) fn combined(single: bool, parts: &[(String, String)]) -> String {
    match parts {
        [(_, only)] if single => only.clone(),
        _ => parts_hash(parts.iter().map(|(name, hash)| (name.as_str(), hash.as_str()))),
    }
}

/// A file that hashes what is read of it, from its first byte on.
pub(crate) struct Hashed {
    file: File,
    /// Shared, so that it can be asked where a library owns the reader; none where nobody will ask.
    hasher: Option<SharedHasher>,
}

/// The hash of what has been read so far.
#[derive(Clone, Default)]
pub(crate) struct SharedHasher(Arc<Mutex<Hasher>>);

impl SharedHasher {
    /// Forgets what was read: the file is opened again.
    pub fn restart(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Hasher::default();
    }

    pub fn finish(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finish()
    }
}

impl Hashed {
    pub fn new(file: File, hasher: Option<SharedHasher>) -> Self {
        Hashed { file, hasher }
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        if let Some(hasher) = &self.hasher {
            hasher.0.lock().unwrap_or_else(PoisonError::into_inner).update(&buffer[..read]);
        }
        Ok(read)
    }
}
