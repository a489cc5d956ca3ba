//! A model's name on the hub, and where its files are.

use std::path::{Path, PathBuf};

use distill_core::StopSignal;

use crate::download;
use crate::environment;
use crate::error::HubError;
use crate::files::{self, CONFIG_FILE, INDEX_FILE, PICKLED_FILE, TOKENIZER_FILES, WEIGHTS_FILE};
use crate::hash::is_commit;

/// A name on the hub with its revision: `ORG/NAME`, `ORG/NAME@REVISION`, `NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    pub(crate) name: String,
    pub(crate) revision: String,
}

/// The state of a model in the cache.
#[derive(Debug, PartialEq, Eq)]
enum Cached {
    /// A snapshot with all files that distill reads.
    Whole(PathBuf),
    /// A snapshot with a config but no weights: another program downloaded only that.
    Config(PathBuf),
    /// Nothing, or a snapshot with a missing file.
    Nothing,
}

impl HubName {
    /// Reads a path as a name, if it has the form of one.
    pub fn of(path: &Path) -> Option<Self> {
        // `runs/teacher` is a path if `runs` exists.
        if path.parent().is_some_and(|parent| !parent.as_os_str().is_empty() && parent.exists()) {
            return None;
        }
        let text = path.to_str()?;
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let fits = name.split('/').count() <= 2
            && name.split('/').all(files::is_word)
            && revision.split('/').all(files::is_word);
        fits.then(|| HubName { name: name.to_owned(), revision: revision.to_owned() })
    }

    /// The directory of its files, which are downloaded first if they are missing and downloads are allowed.
    ///
    /// # Errors
    /// [`HubError`] if it is missing and cannot be downloaded, or a stop was requested.
    pub fn locate(&self, stop: &StopSignal) -> Result<PathBuf, HubError> {
        let Some(cache) = environment::cache(|name| std::env::var_os(name)) else {
            return Err(self.unknown("HOME is not set, so there is no cache directory"));
        };
        match self.cached_in(&cache) {
            Cached::Whole(snapshot) => Ok(snapshot),
            Cached::Config(snapshot) if environment::is_offline() => Ok(snapshot),
            Cached::Nothing if environment::is_offline() => {
                Err(self.unknown("this run is offline, and the hub's cache has no such model"))
            }
            Cached::Config(snapshot) => match download::download(self, &cache, stop) {
                Err(error @ (HubError::Unknown { .. } | HubError::Unreachable { .. })) => {
                    tracing::warn!(
                        "the hub's cache has only the config, and the other files were not downloaded: {error}"
                    );
                    Ok(snapshot)
                }
                other => other,
            },
            Cached::Nothing => download::download(self, &cache, stop),
        }
    }

    /// The name, if its files would have to be downloaded: neither the path nor the hub's cache has them, and downloads
    /// are allowed.
    pub fn to_fetch(path: &Path) -> Option<Self> {
        if path.exists() || environment::is_offline() {
            return None;
        }
        let name = Self::of(path)?;
        let cache = environment::cache(|variable| std::env::var_os(variable))?;
        (!matches!(name.cached_in(&cache), Cached::Whole(_))).then_some(name)
    }

    fn cached_in(&self, cache: &Path) -> Cached {
        let repository = cache.join(self.folder());
        let reference = repository.join("refs").join(&self.revision);
        let commit = match std::fs::read_to_string(reference) {
            // The content of a file becomes part of a path only if it is a commit.
            Ok(commit) if is_commit(commit.trim()) => commit.trim().to_owned(),
            // The revision may itself be a commit.
            Err(_) if is_commit(&self.revision) => self.revision.clone(),
            _ => return Cached::Nothing,
        };
        let snapshot = repository.join("snapshots").join(commit);
        let has = |name: &str| snapshot.join(name).is_file();
        // Such a link remains after a damaged file was removed.
        let is_broken = |name: &str| {
            let path = snapshot.join(name);
            path.is_symlink() && !path.exists()
        };
        let read = TOKENIZER_FILES.into_iter().chain([WEIGHTS_FILE, INDEX_FILE, CONFIG_FILE]);
        if !has(CONFIG_FILE) || read.into_iter().any(is_broken) {
            return Cached::Nothing;
        }
        // A damaged index is reported when the weights are read.
        let parts =
            || std::fs::read(snapshot.join(INDEX_FILE)).ok().and_then(|index| files::indexed(&index).ok());
        let has_parts = || parts().is_none_or(|parts| parts.iter().all(|part| has(part)));
        match has(WEIGHTS_FILE) || (has(INDEX_FILE) && has_parts()) || has(PICKLED_FILE) {
            true => Cached::Whole(snapshot),
            false => Cached::Config(snapshot),
        }
    }

    /// The repository's folder in the cache.
    pub(crate) fn folder(&self) -> String {
        format!("models--{}", self.name.replace('/', "--"))
    }

    /// As the user wrote it.
    pub fn shown(&self) -> String {
        let revision = if self.revision == "main" { String::new() } else { format!("@{}", self.revision) };
        format!("{}{revision}", self.name)
    }

    /// An error for which trying again would not help.
    pub(crate) fn unknown(&self, problem: impl Into<String>) -> HubError {
        HubError::Unknown { name: self.shown(), problem: problem.into() }
    }
}

#[cfg(test)]
mod tests {
    use distill_core::atomic;

    use super::*;

    fn name(text: &str) -> Option<HubName> {
        HubName::of(Path::new(text))
    }

    #[test]
    fn names_and_paths_are_distinguished() {
        for good in ["bert-base-uncased", "org/model.v1", "org/model@refs/pr/1", "org/model@0123abc"] {
            assert!(name(good).is_some(), "{good}");
        }
        for bad in
            ["", "/org/model", "./model", "../model", "a/b/c", "org/", "org/mo del", "org/..", "a@../b", "a@"]
        {
            assert!(name(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_snapshot_is_found_by_its_reference_or_its_commit() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--org--model");
        let snapshot = repository.join("snapshots/0123abc");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        let found = |text: &str| name(text).unwrap().cached_in(cache.path());
        assert_eq!(found("org/model@0123abc"), Cached::Nothing, "begun and not whole");
        atomic::write(&snapshot.join("config.json"), b"{}").unwrap();
        atomic::write(&repository.join("refs/main"), b"0123abc\n").unwrap();
        assert_eq!(found("org/model"), Cached::Config(snapshot.clone()));
        atomic::write(&snapshot.join("model.safetensors"), b"").unwrap();
        for there in ["org/model", "org/model@main", "org/model@0123abc"] {
            assert_eq!(found(there), Cached::Whole(snapshot.clone()), "{there}");
        }
        for missing in ["org/other", "org/model@v2", "model"] {
            assert_eq!(found(missing), Cached::Nothing, "{missing}");
        }
        std::os::unix::fs::symlink("../../blobs/gone", snapshot.join("vocab.txt")).unwrap();
        assert_eq!(found("org/model"), Cached::Nothing, "a file that was removed is fetched again");
    }

    #[test]
    fn a_reference_cannot_point_out_of_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--org--model");
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::create_dir_all(repository.join("snapshots")).unwrap();
        for file in ["config.json", "model.safetensors"] {
            atomic::write(&cache.path().join(file), b"{}").unwrap();
        }
        atomic::write(&repository.join("refs/main"), b"../..").unwrap();
        assert_eq!(name("org/model").unwrap().cached_in(cache.path()), Cached::Nothing);
    }
}
