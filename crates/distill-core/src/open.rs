//! Opening files: what is written or locked is never reached through a link, and what is read is a regular file.

use std::fs::{File, FileType, OpenOptions};
use std::io::{Error, ErrorKind};
use std::path::Path;

use crate::atomic::FileError;

/// Opens a file that this program writes in place or locks, and makes it where it is missing. What is in it stays.
///
/// # Errors
/// [`FileError`] naming the file, also where the name is a link's or that of anything but a regular file: whoever can
/// write into the directory could otherwise have any file of the user changed.
pub fn to_change(path: &Path) -> Result<File, FileError> {
    changed_in_place(path, true)
}

/// As [`to_change`], of a file that must be there.
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

/// Makes a new file.
///
/// # Errors
/// The operating system's; of the kind `AlreadyExists` where the name is taken, be it by a link.
pub fn new(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create_new(true).read(true).write(true);
    unfollowed(&mut options);
    options.open(path)
}

/// Opens a file for reading. A link is followed; a FIFO, whose reader would wait for a writer for ever, a socket, a
/// device or a directory is refused.
///
/// # Errors
/// The operating system's; of the kind `InvalidData`, or `IsADirectory`, for what is no regular file.
pub fn to_read(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true);
    waiting_for_nobody(&mut options);
    let file = options.open(path).map_err(|error| match std::fs::metadata(path) {
        // A socket cannot be opened at all, and what the system says of it explains nothing.
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

/// What is there instead of a file, with its article.
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
fn waiting_for_nobody(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_NONBLOCK);
}

#[cfg(not(unix))]
fn waiting_for_nobody(_options: &mut OpenOptions) {}

/// The system says "too many levels of symbolic links" where it means one.
fn not_through_a_link(path: &Path, error: Error) -> FileError {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_symlink());
    let error = if is_link {
        let what = "it is a symbolic link, and files that distill changes are not opened through one";
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
    fn what_is_changed_is_not_reached_through_a_link() {
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

    /// Opening a FIFO to read it waits for a writer, and nothing then ends the program.
    #[test]
    fn what_is_no_file_is_refused_by_name_and_at_once() {
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
