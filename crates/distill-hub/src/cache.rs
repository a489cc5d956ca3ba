//! The hub's cache on this machine, as `huggingface_hub` lays it out:
//!
//! ```text
//! models--ORG--NAME/refs/REVISION          the commit that a revision was when it was asked for
//! models--ORG--NAME/snapshots/COMMIT/FILE  a link to the content
//! models--ORG--NAME/blobs/HASH             the content, by its hash
//! models--ORG--NAME/blobs/HASH.incomplete  the beginning of it
//! .locks/models--ORG--NAME/HASH.lock       held by who fetches it
//! ```
//!
//! All names in it come from words of known forms. No link is followed to write: directories that are links are
//! refused, files are opened with `O_NOFOLLOW` or made new.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use distill_core::atomic::{self, FileError, sync_directory};
use tempfile::TempPath;

use crate::client::{Client, Trouble};
use crate::hash::ContentHash;

/// Between two looks at a lock that another process holds.
const BETWEEN: Duration = Duration::from_millis(100);

/// One repository in the cache, and one commit of it.
pub(crate) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
    commit: String,
}

/// A file that is not whole yet.
pub(crate) struct Part {
    pub(crate) file: File,
    pub(crate) length: u64,
    place: Place,
}

enum Place {
    /// Under its hash: what is there stays for the next run. The lock is held as long as this lives.
    Kept { path: PathBuf, _lock: File },
    /// Under a name that nobody knows, gone with the process.
    Passing(TempPath),
}

impl Repository {
    /// Makes the directories of a repository, `folder` in `cache`.
    ///
    /// # Errors
    /// [`FileError`] where one cannot be made or is a link.
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

    /// The directory that looks like the model's.
    pub(crate) fn snapshot(&self) -> PathBuf {
        self.folder.join("snapshots").join(&self.commit)
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs")
    }

    /// Whether the content is there, also as a link into a store that several repositories share.
    pub(crate) fn has(&self, hash: &ContentHash) -> bool {
        self.blobs().join(hash.digits()).is_file()
    }

    /// Lets a name in the snapshot stand for a content.
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

    /// Notes which commit a revision is.
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

    /// What was fetched of a content so far, for this process alone; none where meanwhile another one fetched it all.
    ///
    /// # Errors
    /// [`Trouble`] of the system, or a stop while another process fetches it.
    pub(crate) fn part(&self, hash: &ContentHash, client: &Client) -> Result<Option<Part>, Trouble> {
        let lock = self.lock(hash, client)?;
        if self.has(hash) {
            return Ok(None);
        }
        // Without locks two processes could write into one file.
        let Some(lock) = lock else { return self.passing_part().map(Some) };
        let path = self.blobs().join(format!("{}.incomplete", hash.digits()));
        let file = open_plain(&path)?;
        let length = file.metadata().map_err(FileError::of("read", &path))?.len();
        Ok(Some(Part { file, length, place: Place::Kept { path, _lock: lock } }))
    }

    /// A part whose hash is not known yet.
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

    /// Gives a whole and checked part its name.
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
                            "waiting for another process, which fetches the same file: {}",
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

    /// Adds what has arrived.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(FileError::of("write", self.path()))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Puts the next byte at the end of what is there.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub(crate) fn continue_at_end(&mut self) -> Result<(), FileError> {
        match self.file.seek(SeekFrom::Start(self.length)) {
            Ok(_) => Ok(()),
            Err(error) => Err(FileError::new("write", self.path(), error)),
        }
    }

    /// Throws away what is there.
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

/// Makes a directory where there is none, and refuses a link.
fn real_directory(path: &Path) -> Result<(), FileError> {
    atomic::create_directory(path)?;
    match std::fs::symlink_metadata(path) {
        Ok(there) if there.is_symlink() => {
            let why =
                io::Error::new(ErrorKind::NotADirectory, "it is a symbolic link, and those are not followed");
            Err(FileError::new("create", path, why))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(FileError::new("create", path, error)),
    }
}

/// Opens a plain file for reading and writing, made where there is none; never what a link points to.
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
        Ok(_) => Err(FileError::new("create", path, io::Error::other("it is no plain file"))),
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
        assert!(open_plain(&blobs).is_err(), "a directory is no plain file");
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
