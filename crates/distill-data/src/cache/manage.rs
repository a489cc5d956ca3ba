//! Where caches lie, what is there, and its removal.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use distill_core::atomic::FileError;

use super::CacheError;
use super::open::lock_file;
use super::sidecar::{Paths, Sidecar};

/// One complete cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// What it was built for.
    pub key: String,
    /// What it was made of, for people; empty where an earlier version built it.
    pub about: String,
    /// Rows it holds.
    pub rows: u64,
    /// Tokens of all rows.
    pub tokens: u64,
    /// Length of its Arrow file.
    pub bytes: u64,
    /// When it was built or last opened, where the file system says so.
    pub used: Option<SystemTime>,
}

/// What [`clean`] is to do.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cleaning {
    /// Leave caches that were used since.
    pub unused_since: Option<SystemTime>,
    /// Only say what would be removed.
    pub dry_run: bool,
}

/// What [`clean`] did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Cleaned {
    /// Caches removed, whole or not.
    pub removed: usize,
    /// Bytes freed.
    pub bytes: u64,
    /// Caches left because a run is building or reading them.
    pub busy: usize,
    /// Caches left because they were used lately.
    pub recent: usize,
}

/// The default directory: `$DISTILL_CACHE`, else `$XDG_CACHE_HOME/distill/tokens`, else
/// `~/.cache/distill/tokens`.
///
/// # Errors
/// [`CacheError::NoPlace`] where none of the variables is set.
pub fn cache_dir() -> Result<PathBuf, CacheError> {
    choose(|name| std::env::var_os(name)).ok_or(CacheError::NoPlace)
}

fn choose(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    path("DISTILL_CACHE").or_else(|| {
        // The XDG specification has relative paths ignored.
        let base = path("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        base.or_else(|| path("HOME").map(|home| home.join(".cache"))).map(|base| base.join("distill/tokens"))
    })
}

/// The complete caches of a directory, by key. A directory that does not exist has none.
///
/// # Errors
/// [`CacheError::File`] where the directory cannot be read.
pub fn info(directory: &Path) -> Result<Vec<CacheEntry>, CacheError> {
    let mut entries = Vec::new();
    for key in files_by_key(directory)?.into_keys() {
        let paths = Paths::of(directory, &key)?;
        let (Ok(sidecar), Ok(data)) = (Sidecar::read(&paths.sidecar), paths.arrow.metadata()) else { continue };
        if sidecar.key == key {
            entries.push(CacheEntry {
                used: used(&paths),
                key,
                about: sidecar.about,
                rows: sidecar.rows,
                tokens: sidecar.tokens,
                bytes: data.len(),
            });
        }
    }
    Ok(entries)
}

/// The later of when a cache was built and when it was last asked for.
fn used(paths: &Paths) -> Option<SystemTime> {
    let time = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    time(&paths.arrow).max(time(&paths.lock))
}

/// Removes the caches of a directory that no run is building or reading, with what killed runs left of
/// them, and nothing else.
///
/// # Errors
/// [`CacheError::File`] naming the file that cannot be removed.
pub fn clean(directory: &Path, cleaning: Cleaning) -> Result<Cleaned, CacheError> {
    let mut cleaned = Cleaned::default();
    for (key, files) in files_by_key(directory)? {
        let paths = Paths::of(directory, &key)?;
        // Read before the lock is opened, which may make it anew.
        let last_used = used(&paths);
        let lock = lock_file(&paths.lock)?;
        let reader = File::options().read(true).write(true).open(&paths.arrow).ok();
        if is_held(&lock) || reader.as_ref().is_some_and(is_held) {
            cleaned.busy += 1;
            continue;
        }
        let whole = [&paths.arrow, &paths.sidecar];
        let recent = cleaning.unused_since.is_some_and(|since| last_used.is_some_and(|used| used > since));
        let keep = recent && whole.iter().any(|file| file.exists());
        cleaned.recent += usize::from(keep);
        let lock_only = files.iter().all(|file| *file == paths.lock);
        cleaned.removed += usize::from(!keep && !lock_only);
        let kept = |file: &PathBuf| keep && (whole.contains(&file) || *file == paths.lock);
        let own_lock = (!files.contains(&paths.lock)).then_some(&paths.lock);
        for file in files.iter().chain(own_lock).filter(|file| file.exists() && !kept(file)) {
            cleaned.bytes += file.metadata().map_or(0, |data| data.len());
            if !cleaning.dry_run || own_lock == Some(file) {
                std::fs::remove_file(file).map_err(FileError::of("remove", file))?;
            }
        }
    }
    Ok(cleaned)
}

/// Removes what killed runs left of a cache that this process alone is building.
pub(super) fn remove_half_written(directory: &Path, key: &str) -> Result<(), CacheError> {
    let files = files_by_key(directory)?.remove(key).unwrap_or_default();
    for file in files.iter().filter(|file| file.extension().is_some_and(|ending| ending == "tmp")) {
        std::fs::remove_file(file).map_err(FileError::of("remove", file))?;
    }
    Ok(())
}

/// Takes a lock for the caller's file, or says that a run has it. Without locks there is nobody to wait for.
fn is_held(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// The directory's cache files by key: `KEY.tokens.arrow`, `.json`, `.lock` and their temporary names.
fn files_by_key(directory: &Path) -> Result<BTreeMap<String, Vec<PathBuf>>, CacheError> {
    let mut keys = BTreeMap::<String, Vec<PathBuf>>::new();
    let listing = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(keys),
        listing => listing.map_err(FileError::of("read", directory))?,
    };
    for entry in listing {
        let path = entry.map_err(FileError::of("read", directory))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let parts: Vec<&str> = name.split('.').collect();
        let key = match parts.as_slice() {
            [key, "tokens", "arrow" | "json" | "lock"] => *key,
            ["", key, "tokens", "arrow" | "json", _, "tmp"] => *key,
            _ => continue,
        };
        // Keys are hashes: what somebody else keeps there does not look like one.
        if key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            keys.entry(key.to_owned()).or_default().push(path);
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_the_named_one_else_the_users_cache() {
        let with = |set: &[(&str, &str)]| {
            let set: Vec<_> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            choose(move |name| set.iter().find(|(key, _)| key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[("DISTILL_CACHE", "here"), ("HOME", "/h")]), Some("here".into()));
        assert_eq!(with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]), Some("/x/distill/tokens".into()));
        assert_eq!(with(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]), Some("/h/.cache/distill/tokens".into()));
        assert_eq!(with(&[("HOME", "/h"), ("DISTILL_CACHE", "")]), Some("/h/.cache/distill/tokens".into()));
        assert_eq!(with(&[]), None);
    }
}
