//! One writer a directory: an OS lock on `.lock`, which names its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::atomic::FileError;
use crate::category::Category;

/// The lock file's name inside a run directory.
pub const LOCK_FILE: &str = ".lock";

/// How often a lock that is held is tried again, and the time between: long enough for a look by
/// [`must_be_free`] to pass and for a new holder to write its name.
const TRIES: u32 = 30;
const BETWEEN: Duration = Duration::from_millis(10);

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
    /// A held lock is an output that cannot be created; files as their own error says.
    pub fn category(&self) -> Category {
        match self {
            LockError::Held { .. } => Category::CannotCreate,
            LockError::File(error) => error.category(),
        }
    }
}

impl DirectoryLock {
    /// Locks `directory`, which must exist. Gives up after a third of a second.
    ///
    /// # Errors
    /// [`LockError::Held`] with the holder's host and pid; [`LockError::File`] from the system.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_FILE);
        let mut holder = String::new();
        for _ in 0..TRIES {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(FileError::of("create", &path))?;
            match file.try_lock() {
                // A run that made its directory in vain removes it: the file of that name may be another by now.
                Ok(()) if !is_still(&file, &path) => continue,
                Ok(()) => {
                    sign(&mut file).map_err(FileError::of("write", &path))?;
                    return Ok(DirectoryLock { _file: file });
                }
                Err(TryLockError::WouldBlock) => holder = read_holder(&mut file),
                Err(TryLockError::Error(source)) => return Err(FileError::new("lock", &path, source).into()),
            }
            std::thread::sleep(BETWEEN);
        }
        Err(LockError::Held { directory: directory.to_owned(), holder: named(holder) })
    }
}

/// Looks whether another process holds a directory, without taking the lock or writing to it.
///
/// # Errors
/// [`LockError::Held`] if another process holds it; [`LockError::File`] from the system.
pub fn must_be_free(directory: &Path) -> Result<(), LockError> {
    let path = directory.join(LOCK_FILE);
    let mut holder = String::new();
    for _ in 0..TRIES {
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(FileError::new("open", &path, error).into()),
        };
        match file.try_lock_shared() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(FileError::new("lock", &path, source).into()),
        }
        let before = std::mem::replace(&mut holder, read_holder(&mut file));
        // A new holder may not have written its name yet, and then the file has the name of the one before.
        if !holder.is_empty() && holder == before {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    Err(LockError::Held { directory: directory.to_owned(), holder: named(holder) })
}

/// Writes who this process is.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("host {} pid {}\n", host_name(), std::process::id()).as_bytes())
}

fn read_holder(file: &mut File) -> String {
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(_) => holder.trim().to_owned(),
        // That it is held is known; who holds it would only have been kind to say.
        Err(_) => String::new(),
    }
}

fn named(holder: String) -> String {
    if holder.is_empty() { "another process".to_owned() } else { holder }
}

/// Whether an open file is what stands under the path.
#[cfg(unix)]
fn is_still(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_still(_file: &File, path: &Path) -> bool {
    path.exists()
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
        must_be_free(directory.path()).unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        assert_eq!(error.category(), Category::CannotCreate);
        assert_eq!(must_be_free(directory.path()).unwrap_err().to_string(), error.to_string());
        drop(first);
        must_be_free(directory.path()).unwrap();
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_lock_file_that_was_removed_under_a_waiting_process_is_not_owned() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCK_FILE);
        let held = DirectoryLock::acquire(directory.path()).unwrap();
        let old = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!is_still(&old, &path));
        let new = DirectoryLock::acquire(directory.path()).unwrap();
        assert!(DirectoryLock::acquire(directory.path()).is_err(), "the file that has the name is the lock");
        drop((held, new));
    }

    /// `must_be_free` holds the lock for a moment; whoever wants it then tries again.
    #[test]
    fn a_look_throws_nobody_out() {
        let directory = tempfile::tempdir().unwrap();
        let looking = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while looking.load(std::sync::atomic::Ordering::Relaxed) {
                    drop(must_be_free(directory.path()));
                }
            });
            let owned: Vec<bool> = (0..20).map(|_| DirectoryLock::acquire(directory.path()).is_ok()).collect();
            looking.store(false, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(owned, [true; 20]);
        });
    }
}
