//! Opening files: files are never written or locked through a link, and only regular files are read.

use std::fs::{File, FileType, OpenOptions};
use std::io::{Error, ErrorKind};
use std::path::Path;

use crate::atomic::FileError;

/// Opens a file that this program writes in place or locks, and creates it if it is missing. Its content is kept.
///
/// # Errors
/// [`FileError`] naming the file, also if it is a link or not a regular file: otherwise anyone who can write to the
/// directory could make this program change any file of the user.
pub fn to_change(path: &Path) -> Result<File, FileError> {
    changed_in_place(path, true)
}

/// As [`to_change`], for a file that must exist.
///
/// # Errors
/// As [`to_change`].
pub fn existing(path: &Path) -> Result<File, FileError> {
    changed_in_place(path, false)
}

fn changed_in_place(path: &Path, create: bool) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.create(create).truncate(false).read(true).write(true);
    unfollowed(&mut options);
    let file = options.open(path).map_err(|error| not_through_a_link(path, error))?;
    must_be_regular(&file, ErrorKind::AlreadyExists).map_err(FileError::of("create", path))?;
    Ok(file)
}

/// Creates a new file.
///
/// # Errors
/// The operating system's; of the kind `AlreadyExists` if the name exists, also as a link.
pub fn new(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create_new(true).read(true).write(true);
    unfollowed(&mut options);
    options.open(path)
}

/// Opens a file for reading. A link is followed. A FIFO (reading would wait for a writer forever), a socket, a device or
/// a directory is refused.
///
/// # Errors
/// The operating system's; of the kind `InvalidData`, or `IsADirectory`, for anything but a regular file.
pub fn to_read(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true);
    without_waiting(&mut options);
    let file = options.open(path).map_err(|error| match std::fs::metadata(path) {
        // A socket cannot be opened, and the system's error does not explain that.
        Ok(data) if !data.is_file() && !data.is_dir() => no_file(data.file_type(), ErrorKind::InvalidData),
        _ => error,
    })?;
    must_be_regular(&file, ErrorKind::InvalidData)?;
    Ok(file)
}

fn must_be_regular(file: &File, kind: ErrorKind) -> Result<(), Error> {
    let found = file.metadata()?.file_type();
    if found.is_file() { Ok(()) } else { Err(no_file(found, kind)) }
}

fn no_file(found: FileType, kind: ErrorKind) -> Error {
    let kind = if found.is_dir() { ErrorKind::IsADirectory } else { kind };
    Error::new(kind, format!("it is {}, expected a regular file", name_of(found)))
}

/// What the path is instead of a regular file, with its article.
pub fn name_of(found: FileType) -> &'static str {
    if found.is_dir() {
        return "a directory";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if found.is_fifo() {
            return "a FIFO (named pipe)";
        }
        if found.is_socket() {
            return "a socket";
        }
        if found.is_block_device() || found.is_char_device() {
            return "a device";
        }
    }
    "no file"
}

#[cfg(unix)]
fn unfollowed(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
}

#[cfg(not(unix))]
fn unfollowed(_options: &mut OpenOptions) {}

#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NONBLOCK);
}

#[cfg(not(unix))]
fn without_waiting(_options: &mut OpenOptions) {}

/// The system says "too many levels of symbolic links" where it means one.
fn not_through_a_link(path: &Path, error: Error) -> FileError {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_symlink());
    let error = if is_link {
        let what = "it is a symbolic link, and distill does not write through symbolic links";
        Error::new(ErrorKind::AlreadyExists, what)
    } else {
        error
    };
    FileError::new("create", path, error)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::Category;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_not_changed_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let [mine, link, dangling] = ["mine", "link", "dangling"].map(|name| directory.path().join(name));
        crate::atomic::write(&mine, b"mine").unwrap();
        symlink(&mine, &link).unwrap();
        symlink(directory.path().join("new"), &dangling).unwrap();
        for path in [&link, &dangling] {
            let error = to_change(path).unwrap_err();
            assert!(error.to_string().contains("symbolic link"), "{error}");
            assert_eq!(error.category(), Category::CannotCreate);
            assert_eq!(new(path).unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
        assert!(!directory.path().join("new").exists());
        to_change(&directory.path().join("own")).unwrap();
        to_read(&link).unwrap();
    }

    /// Opening a FIFO for reading would wait for a writer forever.
    #[test]
    fn what_is_not_a_file_is_refused_by_name_and_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, name) in [
            (fifo.as_path(), "a FIFO"),
            (socket.as_path(), "a socket"),
            (Path::new("/dev/null"), "a device"),
            (directory.path(), "a directory"),
        ] {
            let error = to_read(path).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(to_change(&fifo).unwrap_err().to_string().contains("a FIFO"));
    }
}
