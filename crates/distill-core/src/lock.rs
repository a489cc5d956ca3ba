//! One writer a directory: an OS lock on `.lock`, which names its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::atomic::FileError;
use crate::category::Category;

/// The lock file's name inside a run directory.
pub const LOCK_FILE: &str = ".lock";

/// A directory that this process owns until the value is dropped.
///
/// The lock is the operating system's: it ends with the process, however that ends, so a file
/// left by a killed run never blocks the next one.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// A directory that could not be locked.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is in use by {holder}; wait for it to end or choose another directory", directory.display())]
    Held {
        /// The directory.
        directory: PathBuf,
        /// Host and process id of the holder, as it wrote them.
        holder: String,
    },
    /// The lock file cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
}

impl LockError {
    /// Always: the output cannot be created.
    pub fn category(&self) -> Category {
        Category::CannotCreate
    }
}

impl DirectoryLock {
    /// Locks `directory`, which must exist, without waiting.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's host and pid; [`LockError::File`] from the system.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(FileError::of("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(FileError::of("read", &path))?;
                let holder = match holder.trim() {
                    "" => "another process".to_owned(),
                    named => named.to_owned(),
                };
                return Err(LockError::Held { directory: directory.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(FileError::new("lock", &path, source).into()),
        }
        let holder = format!("host {} pid {}\n", host_name(), std::process::id());
        file.set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(holder.as_bytes()))
            .map_err(FileError::of("write", &path))?;
        Ok(DirectoryLock { _file: file })
    }
}

/// This machine's name, as it stands in locks and run records.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_owner_is_told_who_the_first_is() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        assert_eq!(error.category(), Category::CannotCreate);
        drop(first);
        DirectoryLock::acquire(directory.path()).unwrap();
    }
}
