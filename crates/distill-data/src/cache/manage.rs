//! Where caches lie, what is there, and its removal.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use distill_core::atomic::FileError;
use distill_core::open;

use super::CacheError;
use super::features::{FeatureHeader, lock_path};
use super::listing::{Kind, files_by_key, has_ending, is_temporary};
use super::locks::lock_file;
use super::sidecar::{Paths, Sidecar};

/// One cache that can be used: tokens that are complete, or features of some rows at least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// What it was built for.
    pub key: String,
    /// What it was made of, for people; empty where an earlier version built it.
    pub about: String,
    /// What is in it.
    pub holds: Holds,
    /// Rows it holds.
    pub rows: u64,
    /// Length of its Arrow file, or of its files of features.
    pub bytes: u64,
    /// When it was built or last opened, where the file system says so.
    pub used: Option<SystemTime>,
}

/// What is in a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Rows as ids.
    Tokens {
        /// Tokens of all rows.
        tokens: u64,
    },
    /// What a frozen encoder made of rows.
    Features {
        /// How many rows it is to hold when it is complete.
        of_rows: u64,
        /// Numbers a row.
        width: u64,
    },
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

/// The caches of a directory that can be used, by key. A directory that does not exist has none.
///
/// # Errors
/// [`CacheError::File`] where the directory cannot be read.
pub fn info(directory: &Path) -> Result<Vec<CacheEntry>, CacheError> {
    let mut entries = Vec::new();
    for ((key, kind), files) in files_by_key(directory)? {
        let entry = match kind {
            Kind::Tokens => tokens_entry(&Paths::of(directory, &key)?, key),
            Kind::Features => features_entry(&files, lock_path(directory, &key)?.as_path(), key),
        };
        entries.extend(entry);
    }
    Ok(entries)
}

fn tokens_entry(paths: &Paths, key: String) -> Option<CacheEntry> {
    let (sidecar, data) = (Sidecar::read(&paths.sidecar).ok()?, paths.arrow.metadata().ok()?);
    (sidecar.key == key).then(|| CacheEntry {
        used: used([&paths.arrow, &paths.lock].into_iter()),
        key,
        about: sidecar.about,
        holds: Holds::Tokens { tokens: sidecar.tokens },
        rows: sidecar.rows,
        bytes: data.len(),
    })
}

fn features_entry(files: &[PathBuf], lock: &Path, key: String) -> Option<CacheEntry> {
    let parts = files.iter().filter_map(|file| Some((FeatureHeader::read(file).ok()?, file)));
    let parts: Vec<_> = parts.filter(|(header, _)| header.notes.key == key).collect();
    let (first, _) = parts.first()?;
    Some(CacheEntry {
        used: used(parts.iter().map(|(_, file)| file.as_path()).chain([lock])),
        about: first.notes.about.clone(),
        holds: Holds::Features { of_rows: first.notes.of_rows, width: first.width },
        rows: parts.iter().map(|(header, _)| header.rows).sum(),
        bytes: parts.iter().map(|(_, file)| file.metadata().map_or(0, |data| data.len())).sum(),
        key,
    })
}

/// The latest of when a cache was built and when it was last asked for.
fn used(files: impl Iterator<Item = impl AsRef<Path>>) -> Option<SystemTime> {
    files.filter_map(|file| file.as_ref().metadata().and_then(|data| data.modified()).ok()).max()
}

/// Removes the caches of a directory that no run is building or reading, with what killed runs left of
/// them, and nothing else.
///
/// # Errors
/// [`CacheError::File`] naming the file that cannot be removed.
pub fn clean(directory: &Path, cleaning: Cleaning) -> Result<Cleaned, CacheError> {
    let mut cleaned = Cleaned::default();
    for ((key, kind), files) in files_by_key(directory)? {
        let lock_path = match kind {
            Kind::Tokens => Paths::of(directory, &key)?.lock,
            Kind::Features => lock_path(directory, &key)?,
        };
        let is_whole = |file: &PathBuf| *file != lock_path && !is_temporary(file);
        // Read before the lock is opened, which may make it anew.
        let last_used = used(files.iter().filter(|file| !is_temporary(file)));
        let lock = lock_file(&lock_path)?;
        // Only tokens are read after they were opened: a run has features in memory.
        let arrow = files.iter().find(|file| is_whole(file) && has_ending(file, "arrow"));
        let reader = arrow.and_then(|arrow| open::existing(arrow).ok());
        if is_held(&lock) || reader.as_ref().is_some_and(is_held) {
            cleaned.busy += 1;
            continue;
        }
        let recent = cleaning.unused_since.is_some_and(|since| last_used.is_some_and(|used| used > since));
        let keep = recent && files.iter().any(is_whole);
        cleaned.recent += usize::from(keep);
        let lock_only = files.iter().all(|file| *file == lock_path);
        cleaned.removed += usize::from(!keep && !lock_only);
        let kept = |file: &PathBuf| keep && !is_temporary(file);
        let own_lock = (!files.contains(&lock_path)).then_some(&lock_path);
        for file in files.iter().chain(own_lock).filter(|file| file.exists() && !kept(file)) {
            cleaned.bytes += file.metadata().map_or(0, |data| data.len());
            if !cleaning.dry_run || own_lock == Some(file) {
                std::fs::remove_file(file).map_err(FileError::of("remove", file))?;
            }
        }
    }
    Ok(cleaned)
}

/// Takes a lock for the caller's file, or says that a run has it. Without locks there is nobody to wait for.
fn is_held(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
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
