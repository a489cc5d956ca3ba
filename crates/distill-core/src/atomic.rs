//! Atomic files: temporary name, fsync, rename, fsync of the directory.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::category::Category;

/// A file operation that failed, with its path.
#[derive(Debug, Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// What was tried: `create`, `write`, `read`, …
    pub action: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The operating system's answer.
    pub source: io::Error,
}

impl FileError {
    /// An error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        FileError { action, path: path.to_owned(), source }
    }

    /// Shorthand for `map_err`.
    pub fn of<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> FileError + 'a {
        move |source| FileError::new(action, path, source)
    }

    /// A missing input is wrong usage. A path where nothing can be created is an output error. Wrong content is bad data.
    /// Everything else, such as a full disk, is an I/O error.
    pub fn category(&self) -> Category {
        use io::ErrorKind::{
            AlreadyExists, InvalidData, IsADirectory, NotADirectory, NotFound, PermissionDenied,
            ReadOnlyFilesystem,
        };
        match (self.action, self.source.kind()) {
            ("open" | "read", NotFound) => Category::Usage,
            ("open" | "read", InvalidData) => Category::Data,
            (
                "create",
                NotFound | NotADirectory | IsADirectory | AlreadyExists | PermissionDenied | ReadOnlyFilesystem,
            ) => Category::CannotCreate,
            _ => Category::Io,
        }
    }
}

/// A file that becomes visible under its final name only at [`AtomicFile::commit`].
/// If it is dropped before, nothing remains.
pub struct AtomicFile {
    path: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

impl AtomicFile {
    /// Opens a temporary file next to `path`, whose directory must exist.
    ///
    /// # Errors
    /// [`FileError`] naming `path`.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let mut temporary = temporary_for(path)?;
        while !is_kept(&temporary) {
            temporary = temporary_for(path)?;
        }
        Ok(AtomicFile { path: path.to_owned(), writer: BufWriter::with_capacity(1 << 18, temporary) })
    }

    /// Flushes, syncs and renames the file into place, replacing one of that name.
    ///
    /// # Errors
    /// [`FileError`] naming the final path. That path then still has its old content or, if only the directory could not
    /// be synced, the complete new file.
    #[allow(clippy::disallowed_methods)]
    pub fn commit(self) -> Result<(), FileError> {
        let AtomicFile { path, writer } = self;
        let temporary = writer
            .into_inner()
            .map_err(|error| FileError::new("write", &path, without_temporary_name(error.into_error())))?;
        temporary.as_file().sync_all().map_err(FileError::of("sync", &path))?;
        // Stays open until it has its name: an open file is not taken for a leftover.
        let (_file, temporary) = temporary.into_parts();
        std::fs::rename(&temporary, &path).map_err(FileError::of("create", &path))?;
        // The temporary name is gone already: nothing is left to remove.
        temporary.keep().map_err(|error| FileError::new("create", &path, error.error))?;
        sync_directory(parent(&path))
    }

    /// The final name.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// An [`AtomicFile`] that counts and hashes what is written to it.
pub struct HashedFile {
    file: AtomicFile,
    hasher: blake3::Hasher,
    bytes: u64,
}

/// What a [`HashedFile`] held when it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Length in bytes.
    pub bytes: u64,
    /// blake3, as 64 hexadecimal digits.
    pub blake3: String,
}

impl HashedFile {
    /// As [`AtomicFile::create`].
    ///
    /// # Errors
    /// [`FileError`] naming `path`.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        Ok(HashedFile { file: AtomicFile::create(path)?, hasher: blake3::Hasher::new(), bytes: 0 })
    }

    /// As [`AtomicFile::commit`].
    ///
    /// # Errors
    /// [`FileError`] naming the final path.
    pub fn commit(self) -> Result<Written, FileError> {
        self.file.commit()?;
        Ok(Written { bytes: self.bytes, blake3: self.hasher.finalize().to_hex().to_string() })
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `bytes` to `path` atomically.
///
/// # Errors
/// [`FileError`] naming `path`.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(FileError::of("write", path))?;
    file.commit()
}

/// Removes temporary files (`.NAME.RANDOM.tmp`) left by processes that were killed while they wrote this file. A file that
/// a living process is writing, or that cannot be removed, stays.
pub fn remove_left_overs(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(entries) = std::fs::read_dir(parent(path)) else { return };
    for entry in entries.flatten() {
        let is_abandoned = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if is_left_over(&entry.file_name().to_string_lossy(), &name)
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && is_abandoned()
        {
            drop(std::fs::remove_file(entry.path()));
        }
    }
}

/// Whether `entry` is a temporary name that [`temporary_for`] makes for a file called `name`.
fn is_left_over(entry: &str, name: &str) -> bool {
    let random = entry
        .strip_prefix('.')
        .and_then(|rest| rest.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".tmp"));
    random.is_some_and(|random| random.len() == RANDOM && random.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Random letters in a temporary name.
const RANDOM: usize = 6;

fn temporary_for(path: &Path) -> Result<NamedTempFile, FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (prefix, mut builder) = (format!(".{name}."), tempfile::Builder::new());
    made_as(path, builder.prefix(&prefix).rand_bytes(RANDOM).suffix(".tmp"))
        .map_err(|error| FileError::new("create", path, without_temporary_name(error)))
}

/// Locks the file to show that a living process is writing it. False if [`remove_left_overs`] removed it first. On file
/// systems without locks, no file is taken for a leftover.
fn is_kept(temporary: &NamedTempFile) -> bool {
    temporary.as_file().try_lock().is_err() || temporary.path().exists()
}

/// Renames a finished directory into place and makes the rename durable.
///
/// # Errors
/// [`FileError`] naming `to`.
#[allow(clippy::disallowed_methods)]
pub fn rename_directory(from: &Path, to: &Path) -> Result<(), FileError> {
    std::fs::rename(from, to).map_err(FileError::of("create", to))?;
    sync_directory(parent(to))
}

/// Creates a directory with those above it that are missing, and makes all of them durable.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn create_directory(path: &Path) -> Result<(), FileError> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    std::fs::create_dir_all(path).map_err(FileError::of("create", path))?;
    missing.into_iter().rev().try_for_each(|made| match sync_directory(parent(made)) {
        // A user may have write permission for a directory but no read permission.
        Err(error) if error.source.kind() != io::ErrorKind::PermissionDenied => {
            Err(FileError::new("create", made, error.source))
        }
        _ => Ok(()),
    })
}

/// Makes renames inside a directory durable.
///
/// # Errors
/// [`FileError`] naming the directory.
pub fn sync_directory(directory: &Path) -> Result<(), FileError> {
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(FileError::of("sync", directory))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// `tempfile` names its own file in errors; the user knows only the final name.
fn without_temporary_name(error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.source()) {
        Some(cause) => io::Error::new(error.kind(), cause.to_string()),
        None => error,
    }
}

/// Creates a file with the permissions of the umask or, if it replaces a file, those of that file. `tempfile` creates it
/// with `O_EXCL`, so that a link of that name is not followed.
#[cfg(unix)]
fn made_as(path: &Path, builder: &mut tempfile::Builder<'_, '_>) -> io::Result<NamedTempFile> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    let replaced = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file);
    let Some(replaced) = replaced else {
        return builder.permissions(Permissions::from_mode(0o666)).tempfile_in(parent(path));
    };
    // Never with wider permissions than at the end, not even while it is empty.
    let file = builder.permissions(Permissions::from_mode(0o600)).tempfile_in(parent(path))?;
    file.as_file().set_permissions(Permissions::from_mode(replaced.permissions().mode() & 0o777))?;
    Ok(file)
}

#[cfg(not(unix))]
fn made_as(path: &Path, builder: &mut tempfile::Builder<'_, '_>) -> io::Result<NamedTempFile> {
    builder.tempfile_in(parent(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_visible_before_commit_and_nothing_is_left_after_a_drop() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.json");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        write(&path, b"whole").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_hashed_file_says_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        create_directory(&directory.path().join("a/b")).unwrap();
        let path = directory.path().join("a/b/out");
        let mut file = HashedFile::create(&path).unwrap();
        file.write_all(b"one").unwrap();
        file.write_all(b"two").unwrap();
        let blake3 = crate::hash::bytes_hash(b"onetwo");
        assert_eq!(file.commit().unwrap(), Written { bytes: 6, blake3 });
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
    }

    /// The umask itself is tested in another process, by `tests/program`.
    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_mode_of_any_new_file_and_a_replaced_one_keeps_its_own() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.json");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        write(&path, b"1").unwrap();
        let any = directory.path().join("any");
        File::create(&any).unwrap();
        assert_eq!(mode(&path), mode(&any));
        for kept in [0o600, 0o640, 0o666, 0o444] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(kept)).unwrap();
            write(&path, b"2").unwrap();
            assert_eq!(mode(&path), kept);
        }
        // A link of that name is replaced; its target is not changed.
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&any, &link).unwrap();
        write(&link, b"3").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_file());
        assert_eq!(std::fs::read(&any).unwrap(), b"");
    }

    #[test]
    fn leftovers_of_the_same_file_are_removed_unless_a_process_writes_them() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let mine =
            [".p.csv.tmp", ".p.csv.abc.tmp", ".p.csv.abcdef.txt", ".other.csv.abcdef.tmp", ".p.csv.ab-def.tmp"];
        for name in mine.iter().chain(&[".p.csv.abcdef.tmp"]) {
            std::fs::File::create(at(name)).unwrap();
        }
        let writing = AtomicFile::create(&at("p.csv")).unwrap();
        remove_left_overs(&at("p.csv"));
        assert!(!at(".p.csv.abcdef.tmp").exists());
        assert!(mine.iter().all(|name| at(name).exists()), "another name is another's");
        writing.commit().unwrap();
        assert!(at("p.csv").exists(), "a file that is being written is no leftover");
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write(Path::new("/nonexistent/folder/out.json"), b"").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/folder/out.json"), "{error}");
        assert_eq!(error.category(), Category::CannotCreate);
    }
}
