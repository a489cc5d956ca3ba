//! Locks of caches: whoever asks for one that another process has waits for it.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, SystemTime};

use distill_core::StopSignal;
use distill_core::atomic::FileError;
use distill_core::lock::{is_never_locked, is_unsupported};

use super::CacheError;

/// Time between two tries for a lock that another process holds.
const BETWEEN: Duration = Duration::from_millis(50);

/// The lock's time is when a run last asked for this cache. Not knowing it costs a cleaned cache at most.
pub(super) fn mark_used(lock: &File) {
    if let Err(error) = lock.set_modified(SystemTime::now()) {
        tracing::debug!("the time of a cache's last use cannot be set: {error}");
    }
}

pub(super) fn lock_file(path: &Path) -> Result<File, CacheError> {
    Ok(distill_core::open::to_change(path)?)
}

/// Waits for a lock; false on a file system without locks, or where none is to be taken, which costs two runs the same work twice, no more:
/// files appear by rename.
pub(super) fn wait_for(
    path: &Path,
    stop: &StopSignal,
    mut take: impl FnMut() -> Result<(), TryLockError>,
) -> Result<bool, CacheError> {
    if is_never_locked() {
        return Ok(false);
    }
    loop {
        match take() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(error)) if is_unsupported(&error) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(FileError::new("lock", path, error).into()),
            Err(TryLockError::WouldBlock) => {
                stop.check()?;
                std::thread::sleep(BETWEEN);
            }
        }
    }
}
