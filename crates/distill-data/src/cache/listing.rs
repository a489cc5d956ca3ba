//! The files of a directory of caches, by what they belong to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;

use super::CacheError;

/// Which of the two caches a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tokens,
    Features,
}

/// The directory's cache files by key and kind, each key's sorted: `KEY.tokens.arrow`, `.json` and `.lock`,
/// `KEY.features.FIRST.safetensors` and `KEY.features.lock`, and their temporary names.
pub(super) fn files_by_key(directory: &Path) -> Result<BTreeMap<(String, Kind), Vec<PathBuf>>, CacheError> {
    let mut keys = BTreeMap::<(String, Kind), Vec<PathBuf>>::new();
    let listing = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(keys),
        listing => listing.map_err(FileError::of("read", directory))?,
    };
    for entry in listing {
        let path = entry.map_err(FileError::of("read", directory))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let parts: Vec<&str> = name.split('.').collect();
        let (key, kind) = match parts.as_slice() {
            [key, "tokens", "arrow" | "json" | "lock"] => (*key, Kind::Tokens),
            ["", key, "tokens", "arrow" | "json", _, "tmp"] => (*key, Kind::Tokens),
            [key, "features", "lock"] => (*key, Kind::Features),
            [key, "features", first, "safetensors"] if is_number(first) => (*key, Kind::Features),
            ["", key, "features", first, "safetensors", _, "tmp"] if is_number(first) => (*key, Kind::Features),
            _ => continue,
        };
        // Keys are hashes: what somebody else keeps there does not look like one.
        if key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            keys.entry((key.to_owned(), kind)).or_default().push(path);
        }
    }
    keys.values_mut().for_each(|files| files.sort());
    Ok(keys)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Removes what killed runs left of a cache that this process alone is building.
pub(super) fn remove_half_written(directory: &Path, key: &str, kind: Kind) -> Result<(), CacheError> {
    let files = files_by_key(directory)?.remove(&(key.to_owned(), kind)).unwrap_or_default();
    for file in files.iter().filter(|file| is_temporary(file)) {
        std::fs::remove_file(file).map_err(FileError::of("remove", file))?;
    }
    Ok(())
}

/// The files of features of a key.
pub(super) fn feature_files(directory: &Path, key: &str) -> Result<Vec<PathBuf>, CacheError> {
    let files = files_by_key(directory)?.remove(&(key.to_owned(), Kind::Features)).unwrap_or_default();
    Ok(files.into_iter().filter(|file| has_ending(file, "safetensors")).collect())
}

pub(super) fn is_temporary(file: &Path) -> bool {
    has_ending(file, "tmp")
}

pub(super) fn has_ending(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|found| found == ending)
}
