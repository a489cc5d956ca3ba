//! The hub's cache on this machine, as `huggingface_hub` lays it out:
//!
//! ```text
//! models--ORG--NAME/refs/REVISION          the commit that a revision pointed to when it was requested
//! models--ORG--NAME/snapshots/COMMIT/FILE  a link to the content
//! models--ORG--NAME/blobs/HASH             the content, by its hash
//! models--ORG--NAME/blobs/HASH.incomplete  the part downloaded so far
//! .locks/models--ORG--NAME/HASH.lock       held by the process that downloads it
//! ```
//!
//! All names in it have a known form. Nothing is written through a link: directories that are links are refused, and
//! files are opened with `O_NOFOLLOW` or created.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use distill_core::atomic::{self, FileError, sync_directory};
use tempfile::TempPath;

use crate::client::{Client, Trouble};
use crate::hash::ContentHash;

/// Time between two tries for a lock that another process holds.
const BETWEEN: Duration = Duration::from_millis(100);

/// One repository in the cache, and one commit of it.
pub(crate) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
    commit: String,
}

/// A file that is not complete.
pub(crate) struct Part {
    pub(crate) file: File,
    pub(crate) length: u64,
    place: Place,
}

enum Place {
    /// Under its hash: it is kept for the next run. The lock is held until this value is dropped.
    Kept { path: PathBuf, _lock: File },
    /// Under a random name, removed when the process ends.
    Passing(TempPath),
}

impl Repository {
    /// Creates the directories of a repository, `folder` in `cache`.
    ///
    /// # Errors
    /// [`FileError`] if one cannot be created or is a link.
    pub(crate) fn open(cache: &Path, folder: &str, commit: &str) -> Result<Self, FileError> {
        let (repository, locks) = (cache.join(folder), cache.join(".locks"));
        let own =
            Repository { folder: repository.clone(), locks: locks.join(folder), commit: commit.to_owned() };
        atomic::create_directory(&repository)?;
        for directory in [repository.join("blobs"), repository.join("refs"), locks] {
            real_directory(&directory)?;
        }
        for directory in [repository.join("snapshots"), own.snapshot(), own.locks.clone()] {
            real_directory(&directory)?;
        }
        Ok(own)
    }

    /// The directory with the model's files.
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.folder.join("snapshots").join(&self.commit)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    /// Whether the content exists, also as a link to a store that several repositories share.
    pub(crate) fn has(&self, hash: &ContentHash) -> bool {
        self.blobs().join(hash.digits()).is_file()
    }

    /// Links a name in the snapshot to a content.
    ///
    /// # Errors
    /// [`FileError`] naming the link.
    pub(crate) fn link(&self, file: &str, hash: &ContentHash) -> Result<(), FileError> {
        let (link, target) = (self.snapshot().join(file), Path::new("../../blobs").join(hash.digits()));
        match std::fs::symlink_metadata(&link) {
            Ok(there) if !there.is_symlink() => return Ok(()),
            Ok(_) if std::fs::read_link(&link).is_ok_and(|there| there == target) => return Ok(()),
            Ok(_) => std::fs::remove_file(&link).map_err(FileError::of("create", &link))?,
            Err(_) => {}
        }
        match std::os::unix::fs::symlink(&target, &link) {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(FileError::of("create", &link))?,
        }
        sync_directory(&self.snapshot())
    }

    /// Records which commit a revision points to.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub(crate) fn set_reference(&self, revision: &str) -> Result<(), FileError> {
        if revision == self.commit {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        if let Some(parent) = path.parent() {
            atomic::create_directory(parent)?;
        }
        atomic::write(&path, self.commit.as_bytes())
    }

    /// The part of a content downloaded so far, locked for this process; none if another process has completed it.
    ///
    /// # Errors
    /// [`Trouble`] of the system, or a stop while another process downloads it.
    pub(crate) fn part(&self, hash: &ContentHash, client: &Client) -> Result<Option<Part>, Trouble> {
        let lock = self.lock(hash, client)?;
        if self.has(hash) {
            return Ok(None);
        }
        // Without locks, two processes could write to the same file.
        let Some(lock) = lock else { return self.passing_part().map(Some) };
        let path = self.blobs().join(format!("{}.incomplete", hash.digits()));
        let file = open_plain(&path)?;
        let length = file.metadata().map_err(FileError::of("read", &path))?.len();
        Ok(Some(Part { file, length, place: Place::Kept { path, _lock: lock } }))
    }

    /// A part whose hash is unknown so far.
    ///
    /// # Errors
    /// [`Trouble`] of the system.
    pub(crate) fn passing_part(&self) -> Result<Part, Trouble> {
        let blobs = self.blobs();
        let temporary = tempfile::Builder::new()
            .prefix(".")
            .suffix(".incomplete")
            .permissions(std::fs::Permissions::from_mode(0o666))
            .tempfile_in(&blobs)
            .map_err(FileError::of("create", &blobs))?;
        let (file, path) = temporary.into_parts();
        Ok(Part { file, length: 0, place: Place::Passing(path) })
    }

    /// Gives a complete and verified part its name.
    ///
    /// # Errors
    /// [`FileError`] naming it.
    #[allow(clippy::disallowed_methods)]
    pub(crate) fn publish(&self, part: Part, hash: &ContentHash) -> Result<(), FileError> {
        let blob = self.blobs().join(hash.digits());
        part.file.sync_all().map_err(FileError::of("sync", &blob))?;
        std::fs::rename(part.path(), &blob).map_err(FileError::of("create", &blob))?;
        sync_directory(&self.blobs())
    }

    /// The lock of a content; none where the file system has no locks.
    fn lock(&self, hash: &ContentHash, client: &Client) -> Result<Option<File>, Trouble> {
        let path = self.locks.join(format!("{}.lock", hash.digits()));
        let mut is_told = false;
        loop {
            let file = open_plain(&path)?;
            match file.try_lock() {
                Ok(()) if is_still(&file, &path) => return Ok(Some(file)),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::info!(
                            "waiting for another process that is downloading the same file: {}",
                            path.display()
                        );
                    }
                }
                Err(TryLockError::Error(error)) => {
                    tracing::debug!("{} cannot be locked: {error}", path.display());
                    return Ok(None);
                }
            }
            client.pause(BETWEEN)?;
        }
    }
}

impl Part {
    fn path(&self) -> &Path {
        match &self.place {
            Place::Kept { path, .. } => path,
            Place::Passing(path) => path,
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(FileError::of("write", self.path()))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Moves to the end, where the next byte goes.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub(crate) fn continue_at_end(&mut self) -> Result<(), FileError> {
        match self.file.seek(SeekFrom::Start(self.length)) {
            Ok(_) => Ok(()),
            Err(error) => Err(FileError::new("write", self.path(), error)),
        }
    }

    /// Discards the content.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub(crate) fn clear(&mut self) -> Result<(), FileError> {
        self.file.set_len(0).map_err(FileError::of("write", self.path()))?;
        self.length = 0;
        self.continue_at_end()
    }

    /// Removes it.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub(crate) fn remove(self) -> Result<(), FileError> {
        match std::fs::remove_file(self.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(FileError::new("remove", self.path(), error))
            }
            _ => Ok(()),
        }
    }
}

/// Creates a directory if it does not exist, and refuses a link.
fn real_directory(path: &Path) -> Result<(), FileError> {
    atomic::create_directory(path)?;
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => {
            let why = io::Error::new(ErrorKind::NotADirectory, "it is a symbolic link, which is not followed");
            Err(FileError::new("create", path, why))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(FileError::new("create", path, error)),
    }
}

/// Opens a regular file for reading and writing, and creates it if it is missing. Does not follow links.
fn open_plain(path: &Path) -> Result<File, FileError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        // A FIFO would wait for a reader.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(FileError::of("create", path))?;
    match file.metadata() {
        Ok(there) if there.is_file() => Ok(file),
        Ok(_) => Err(FileError::new("create", path, io::Error::other("it is not a regular file"))),
        Err(error) => Err(FileError::new("create", path, error)),
    }
}

/// Whether an open file is what the path names.
fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_is_followed_to_write() {
        let (cache, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let blobs = cache.path().join("models--m/blobs");
        std::fs::create_dir_all(blobs.parent().unwrap()).unwrap();
        symlink(elsewhere.path(), &blobs).unwrap();
        let refused = Repository::open(cache.path(), "models--m", "0123abc").err().unwrap();
        assert!(refused.to_string().contains("symbolic link"), "{refused}");
        std::fs::remove_file(&blobs).unwrap();
        Repository::open(cache.path(), "models--m", "0123abc").unwrap();

        let victim = elsewhere.path().join("victim");
        atomic::write(&victim, b"mine").unwrap();
        symlink(&victim, blobs.join("a.incomplete")).unwrap();
        assert!(open_plain(&blobs.join("a.incomplete")).is_err());
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine");
        assert!(open_plain(&blobs).is_err(), "a directory is not a regular file");
    }

    #[test]
    fn a_name_in_the_snapshot_is_a_relative_link_to_the_content() {
        let cache = tempfile::tempdir().unwrap();
        let repository = Repository::open(cache.path(), "models--m", "0123abc").unwrap();
        let (first, second) = (ContentHash::Git("a".repeat(40)), ContentHash::Git("b".repeat(40)));
        for hash in [&first, &second, &second] {
            repository.link("config.json", hash).unwrap();
            let target = std::fs::read_link(repository.snapshot().join("config.json")).unwrap();
            assert_eq!(target, Path::new("../../blobs").join(hash.digits()));
        }
        repository.set_reference("refs/pr/1").unwrap();
        let reference = cache.path().join("models--m/refs/refs/pr/1");
        assert_eq!(std::fs::read_to_string(reference).unwrap(), "0123abc");
    }
}
