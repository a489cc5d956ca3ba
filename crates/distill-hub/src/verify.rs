//! Verifies files in the hub's cache: a content's name there is its hash.
//!
//! Results are not kept between processes: a flipped bit on a disk does not change the modification time, and hashing
//! is cheaper than loading the file.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use distill_core::StopSignal;
use distill_core::atomic::FileError;
use distill_core::read::bounded;

use crate::error::HubError;
use crate::files::{CONFIG_FILE, INDEX_FILE, TOKENIZER_FILES, WEIGHTS_FILE, indexed};
use crate::hash::{ContentHash, Unhashed};

/// The size that its reader accepts.
const MOST_INDEX_BYTES: u64 = 16 << 20;

/// Device, inode, length, modification time in two parts, and the hash.
type Seen = (u64, u64, u64, i64, i64, ContentHash);

/// Files that this process has verified: the stages of a run open the same model several times.
static SEEN: Mutex<BTreeSet<Seen>> = Mutex::new(BTreeSet::new());

/// Checks the model files that distill reads, if they are links into a `blobs` directory of the hub's cache.
///
/// # Errors
/// [`HubError::Damaged`] naming a file whose content differs.
pub fn directory(directory: &Path, stop: &StopSignal) -> Result<(), HubError> {
    for name in TOKENIZER_FILES.into_iter().chain([CONFIG_FILE, WEIGHTS_FILE, INDEX_FILE]) {
        file(directory, name, stop)?;
    }
    let index = directory.join(INDEX_FILE);
    if !index.is_file() || directory.join(WEIGHTS_FILE).exists() {
        return Ok(());
    }
    // A wrong index is reported when it is read for the weights.
    let parts = indexed(&bounded(&index, MOST_INDEX_BYTES)?).unwrap_or_default();
    parts.iter().try_for_each(|part| file(directory, part, stop))
}

fn file(directory: &Path, name: &str, stop: &StopSignal) -> Result<(), HubError> {
    let path = directory.join(name);
    let Some((blob, hash)) = blob_of(&path) else { return Ok(()) };
    // A missing or unreadable file is reported by its reader.
    let Ok(mut content) = File::open(&path) else { return Ok(()) };
    let about = content.metadata().map_err(FileError::of("read", &path))?;
    let seen = (about.dev(), about.ino(), about.len(), about.mtime(), about.mtime_nsec(), hash.clone());
    if SEEN.lock().unwrap_or_else(PoisonError::into_inner).contains(&seen) {
        return Ok(());
    }
    let found = hash.of_same_kind(&mut content, stop).map_err(|error| match error {
        Unhashed::Stopped(reason) => HubError::Stopped(reason),
        Unhashed::File(error) => FileError::new("read", &path, error).into(),
    })?;
    if found != hash {
        return Err(HubError::Damaged {
            path: blob,
            name: hash.digits().to_owned(),
            kind: hash.kind(),
            found: found.digits().to_owned(),
        });
    }
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(seen);
    Ok(())
}

/// The content that a link points to, if it is in the hub's cache and named by a hash. That content may itself be a link
/// into a store that several repositories share, with other hashes as names.
fn blob_of(link: &Path) -> Option<(PathBuf, ContentHash)> {
    let target = std::fs::read_link(link).ok()?;
    let hash = ContentHash::parse(target.file_name()?.to_str()?)?;
    if target.parent()?.file_name()? != "blobs" {
        return None;
    }
    let directory = link.parent()?.canonicalize().ok()?;
    let mut blob = PathBuf::new();
    for part in directory.join(target).components() {
        match part {
            Component::ParentDir => drop(blob.pop()),
            Component::CurDir => {}
            other => blob.push(other),
        }
    }
    Some((blob, hash))
}

#[cfg(test)]
mod tests {
    use distill_core::{Category, atomic};

    use super::*;

    /// `git hash-object` of `hello` and a line break.
    const HELLO: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    #[test]
    fn a_changed_file_of_the_cache_is_noticed_and_named() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().canonicalize().unwrap().join("models--m");
        let (blobs, snapshot) = (repository.join("blobs"), repository.join("snapshots/0123abc"));
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::create_dir_all(&snapshot).unwrap();
        let stop = StopSignal::default();
        atomic::write(&blobs.join(HELLO), b"hello\n").unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{HELLO}"), snapshot.join("config.json")).unwrap();
        directory(&snapshot, &stop).unwrap();
        directory(&snapshot, &stop).unwrap();
        atomic::write(&blobs.join(HELLO), b"hellp\n").unwrap();
        let error = directory(&snapshot, &stop).unwrap_err();
        assert_eq!(error.category(), Category::Data);
        let text = error.to_string();
        assert!(
            text.starts_with(&blobs.join(HELLO).display().to_string()) && text.contains("git SHA-1"),
            "{text}"
        );
        stop.raise(distill_core::StopReason::Terminate);
        assert!(matches!(directory(&snapshot, &stop), Err(HubError::Stopped(_))));
    }

    #[test]
    fn files_that_are_not_links_into_a_cache_are_not_checked() {
        let directory_of_his = tempfile::tempdir().unwrap();
        atomic::write(&directory_of_his.path().join("config.json"), b"{}").unwrap();
        atomic::write(&directory_of_his.path().join("other"), b"{}").unwrap();
        std::os::unix::fs::symlink("other", directory_of_his.path().join("vocab.txt")).unwrap();
        directory(directory_of_his.path(), &StopSignal::default()).unwrap();
    }
}
