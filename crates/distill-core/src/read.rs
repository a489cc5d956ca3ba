//! Files that are read completely, up to a size limit.

use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use crate::atomic::FileError;
use crate::open;

/// Reads a file of at most `max_bytes`.
///
/// # Errors
/// [`FileError`] naming the file; of the kind `InvalidData` if it is larger or not a regular file.
pub fn bounded(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    up_to(open::to_read(path), path, max_bytes)
}

/// As [`bounded`], but also accepts a pipe, such as a shell's `<(…)`, which is read once.
///
/// # Errors
/// As [`bounded`].
pub fn bounded_stream(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    up_to(File::open(path), path, max_bytes)
}

fn up_to(file: Result<File, Error>, path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let file = file.map_err(FileError::of("read", path))?;
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(FileError::of("read", path))?;
    if bytes.len() as u64 > max_bytes {
        let what = format!("it is larger than {} MiB", max_bytes >> 20);
        return Err(FileError::new("read", path, Error::new(ErrorKind::InvalidData, what)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Category;

    #[test]
    fn a_larger_file_is_bad_data_and_an_absent_one_wrong_usage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        crate::atomic::write(&path, &[b' '; 9]).unwrap();
        assert_eq!(bounded(&path, 9).unwrap().len(), 9);
        assert_eq!(bounded(&path, 8).unwrap_err().category(), Category::Data);
        assert_eq!(bounded(&directory.path().join("b"), 8).unwrap_err().category(), Category::Usage);
    }
}
