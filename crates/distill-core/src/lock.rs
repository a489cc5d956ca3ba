//! One writer per directory: an OS lock on `.lock`, which contains the holder's name (`system` keeps the file in place). On
//! file systems without locks, a file that only one process can create (`exclusive`, with a `claim`). With `--no-lock`,
//! nothing.

mod claim;
mod exclusive;
mod system;

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;

use self::exclusive::{Exclusive, Try};
use self::system::Watched;
use crate::atomic::FileError;
use crate::category::Category;
use crate::open;

pub use self::exclusive::on_loss;

/// The lock file's name inside a run directory.
pub const LOCK_FILE: &str = ".lock";

/// How often a held lock is tried again, and the time between: long enough for a check by [`must_be_free`] to end and
/// for a new holder to write its name.
const TRIES: u32 = 30;
const BETWEEN: Duration = Duration::from_millis(10);

/// Whether directories are used without a lock.
static NEVER: AtomicBool = AtomicBool::new(false);

/// From now on nothing is locked: the user promises that no other process writes there.
pub fn never_lock() {
    NEVER.store(true, Ordering::SeqCst);
}

/// Whether [`never_lock`] was called.
pub fn is_never_locked() -> bool {
    NEVER.load(Ordering::SeqCst)
}

/// Whether a name inside a directory is one of the files that lock it.
pub fn is_lock_file(name: &str) -> bool {
    name == LOCK_FILE || name.strip_prefix(LOCK_FILE).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether the error means that this file system has no locks (or NFS without its lock service).
pub fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::ENOLCK) {
        return true;
    }
    error.kind() == io::ErrorKind::Unsupported
}

/// A directory that this process owns until the value is dropped.
///
/// The lock is the operating system's: it ends with the process, however that ends, so a file
/// left by a killed run never blocks the next one. Where the file system has no locks, a killed run's claim is taken
/// over at once on its own machine, and after two minutes from another one.
#[derive(Debug)]
pub struct DirectoryLock {
    _held: Hold,
}

/// The lock that keeps others out.
#[derive(Debug)]
enum Hold {
    System(#[expect(dead_code, reason = "it is held, not read")] Watched),
    Claim(#[expect(dead_code, reason = "it is held, not read")] Box<Exclusive>),
    Nothing,
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
            let mut file = open::to_change(&path)?;
            must_be_a_lock(&mut file, &path)?;
            let taken = if is_never_locked() { Ok(()) } else { file.try_lock() };
            let held = match taken {
                // A run that did not need its directory removes it, so the lock file may have been replaced.
                Ok(()) if !is_still(&file, &path) => continue,
                // Held by a machine that mounts the same directory without locks.
                Ok(()) => match exclusive::look(directory)? {
                    Some(claimed) if !is_never_locked() => Err(claimed),
                    _ => {
                        sign(&mut file).map_err(FileError::of("write", &path))?;
                        Ok(match is_never_locked() {
                            true => Hold::Nothing,
                            false => Hold::System(Watched::keep(file, &path)?),
                        })
                    }
                },
                Err(TryLockError::WouldBlock) => Err(read_holder(&mut file)),
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    match Exclusive::try_take(directory)? {
                        Try::Mine(claim) => Ok(Hold::Claim(Box::new(claim))),
                        Try::Held(claimed) => Err(claimed),
                    }
                }
                Err(TryLockError::Error(source)) => return Err(FileError::new("lock", &path, source).into()),
            };
            match held {
                Ok(held) => return Ok(DirectoryLock { _held: held }),
                Err(found) => holder = found,
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
    if is_never_locked() {
        return Ok(());
    }
    let path = directory.join(LOCK_FILE);
    let mut holder = String::new();
    for _ in 0..TRIES {
        let mut file = match open::to_read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(FileError::new("open", &path, error).into()),
        };
        match file.try_lock_shared() {
            Ok(()) => return free_of_claims(directory),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if is_unsupported(&error) => return free_of_claims(directory),
            Err(TryLockError::Error(source)) => return Err(FileError::new("lock", &path, source).into()),
        }
        let before = std::mem::replace(&mut holder, read_holder(&mut file));
        // A new holder may not have written its name, and the file still has the previous one.
        if !holder.is_empty() && holder == before {
            break;
        }
        std::thread::sleep(BETWEEN);
    }
    Err(LockError::Held { directory: directory.to_owned(), holder: named(holder) })
}

fn free_of_claims(directory: &Path) -> Result<(), LockError> {
    match exclusive::look(directory)? {
        None => Ok(()),
        Some(holder) => Err(LockError::Held { directory: directory.to_owned(), holder: named(holder) }),
    }
}

/// Refuses a file that this program did not write: locking would overwrite its content.
fn must_be_a_lock(file: &mut File, path: &Path) -> Result<(), FileError> {
    let mut start = [0; 5];
    let read = file.read(&mut start).and_then(|read| file.rewind().map(|()| read));
    let read = read.map_err(FileError::of("read", path))?;
    if read == 0 || start[..read] == b"host "[..read] {
        return Ok(());
    }
    let what = "it is not a lock file of distill, and locking the directory would overwrite it";
    Err(FileError::new("create", path, io::Error::new(io::ErrorKind::AlreadyExists, what)))
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
        // The lock is held; the holder's name is only for the message.
        Err(_) => String::new(),
    }
}

fn named(holder: String) -> String {
    if holder.is_empty() { "another process".to_owned() } else { holder }
}

/// Whether an open file is still the file at the path.
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

/// This machine's name, as written to locks and run records.
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
    fn the_error_for_a_locked_directory_names_its_holder() {
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
    fn a_file_that_is_not_a_lock_keeps_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCK_FILE);
        crate::atomic::write(&path, b"{\"mine\": 1}").unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(error.to_string().contains("not a lock file of distill"), "{error}");
        assert_eq!(error.category(), Category::CannotCreate);
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"mine\": 1}");
        assert!(is_lock_file(".lock") && is_lock_file(".lock.claim") && !is_lock_file(".locked"));
    }

    /// One machine mounts a directory with locks and another without: the claim of the second counts for the first.
    #[test]
    fn a_claim_is_respected_where_there_are_locks_too() {
        let directory = tempfile::tempdir().unwrap();
        let Try::Mine(claim) = Exclusive::try_take(directory.path()).unwrap() else { panic!("it is free") };
        drop(open::to_change(&directory.path().join(LOCK_FILE)).unwrap());
        assert!(matches!(must_be_free(directory.path()), Err(LockError::Held { .. })));
        assert!(matches!(DirectoryLock::acquire(directory.path()), Err(LockError::Held { .. })));
        drop(claim);
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

    /// `must_be_free` holds the lock for a moment; a process that wants it then tries again.
    #[test]
    fn a_check_does_not_make_other_processes_fail() {
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
