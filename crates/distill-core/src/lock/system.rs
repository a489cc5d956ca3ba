//! The lock of the operating system, and a thread that keeps its file in place.
//!
//! The lock belongs to the open file, not to its name. Without `.lock` in the directory, another process would make and
//! lock a new one. So the holder looks for its file every second: it makes a missing one again, and says that the
//! directory is lost where another file has the name.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::exclusive::lost;
use super::{is_still, sign};
use crate::atomic::FileError;
use crate::open;

/// How often the holder looks for its file.
const LOOK: Duration = Duration::from_secs(1);

/// A locked file that this process holds until the value is dropped.
#[derive(Debug)]
pub(super) struct Watched {
    /// Dropping it ends the thread.
    alive: Option<Sender<()>>,
    /// Holds the file, and with it the lock.
    watch: Option<JoinHandle<()>>,
}

impl Watched {
    /// Keeps `file`, which is locked and has the name `path`.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn keep(mut file: File, path: &Path) -> Result<Self, FileError> {
        let (alive, ended) = channel();
        let theirs = path.to_owned();
        let watch = move || {
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                match look(&file, &theirs) {
                    Found::Ours => {}
                    Found::Made(again) => file = again,
                    Found::Others => return lost(&theirs),
                }
            }
        };
        let watch = std::thread::Builder::new().name("lock".to_owned()).spawn(watch);
        let watch = watch.map_err(FileError::of("lock", path))?;
        Ok(Watched { alive: Some(alive), watch: Some(watch) })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(watch) = self.watch.take() {
            // It has nothing to say, not even where it panicked.
            drop(watch.join());
        }
    }
}

/// What has the name of the lock.
enum Found {
    /// The file that is locked, or nothing that can be told.
    Ours,
    /// Nothing: a new file, which is locked too.
    Made(File),
    /// Another file.
    Others,
}

fn look(file: &File, path: &Path) -> Found {
    if is_still(file, path) {
        return Found::Ours;
    }
    match make(path) {
        Ok(Some(file)) => Found::Made(file),
        Ok(None) => Found::Others,
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_another(file, path) => Found::Others,
        // A directory that is gone, or a file system that does not answer: the run will say so itself.
        Err(_) => Found::Ours,
    }
}

/// Whether the name is certainly another file's. A file system that does not answer says nothing.
fn is_another(file: &File, path: &Path) -> bool {
    std::fs::metadata(path).is_ok() && file.metadata().is_ok() && !is_still(file, path)
}

/// A new lock file; none where another process was faster to lock it.
fn make(path: &Path) -> io::Result<Option<File>> {
    let mut file = open::new(path)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
        Ok(()) => {}
    }
    sign(&mut file)?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Mutex;
    use std::time::Instant;

    use super::super::{DirectoryLock, LOCK_FILE, must_be_free, on_loss};
    use super::*;

    /// The directories that were lost.
    static LOST: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    fn eventually(what: impl Fn() -> bool) -> bool {
        let start = Instant::now();
        while !what() {
            if start.elapsed() > 20 * LOOK {
                return false;
            }
            std::thread::sleep(LOOK / 50);
        }
        true
    }

    #[test]
    fn a_lock_file_that_is_removed_is_made_again_and_still_keeps_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCK_FILE);
        let held = DirectoryLock::acquire(directory.path()).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(eventually(|| std::fs::read_to_string(&path).is_ok_and(|text| text.starts_with("host "))));
        let error = DirectoryLock::acquire(directory.path()).unwrap_err();
        assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
        drop(held);
        must_be_free(directory.path()).unwrap();
    }

    #[test]
    fn a_lock_file_that_is_replaced_is_a_loss() {
        on_loss(|directory| LOST.lock().unwrap().push(directory.to_owned()));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCK_FILE);
        let held = DirectoryLock::acquire(directory.path()).unwrap();
        crate::atomic::write(&path, b"host elsewhere pid 1\n").unwrap();
        assert!(eventually(|| LOST.lock().unwrap().iter().any(|lost| lost == directory.path())));
        drop(held);
        assert_eq!(std::fs::read(&path).unwrap(), b"host elsewhere pid 1\n");
    }

    #[test]
    fn a_directory_that_is_removed_is_no_loss_of_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("own");
        std::fs::create_dir(&own).unwrap();
        let held = DirectoryLock::acquire(&own).unwrap();
        std::fs::remove_dir_all(&own).unwrap();
        std::thread::sleep(LOOK + LOOK / 2);
        assert!(!own.exists());
        drop(held);
    }
}
