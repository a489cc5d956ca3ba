//! Models by their name on the Hugging Face hub: from its cache on this machine, or fetched into it.
//!
//! The cache is the one that `huggingface_hub` fills and reads: `models--ORG--NAME/refs/REVISION` names a commit,
//! `snapshots/COMMIT/` holds its files. What lies there is taken as it is; nothing asks whether the hub has newer.

mod download;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::directory::CONFIG_FILE;
use crate::error::ModelError;

/// Set by [`stay_offline`].
static OFFLINE: AtomicBool = AtomicBool::new(false);

/// Keeps this process from asking the hub, as `HF_HUB_OFFLINE=1` does.
pub fn stay_offline() {
    OFFLINE.store(true, Ordering::Relaxed);
}

fn is_offline() -> bool {
    let variable = std::env::var("HF_HUB_OFFLINE").unwrap_or_default().to_uppercase();
    OFFLINE.load(Ordering::Relaxed) || ["1", "ON", "YES", "TRUE"].contains(&variable.as_str())
}

/// A name on the hub with its revision: `ORG/NAME`, `ORG/NAME@REVISION`, `NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    name: String,
    revision: String,
}

impl HubName {
    /// The name that a path would be, if it is one.
    pub fn of(path: &Path) -> Option<Self> {
        // `runs/teacher` where there is a `runs` is a path.
        if path.parent().is_some_and(|parent| !parent.as_os_str().is_empty() && parent.exists()) {
            return None;
        }
        let text = path.to_str()?;
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let is_word = |word: &str| {
            let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !word.is_empty() && word.chars().all(known) && !word.starts_with('.') && !word.contains("..")
        };
        let fits =
            name.split('/').count() <= 2 && name.split('/').all(is_word) && revision.split('/').all(is_word);
        fits.then(|| HubName { name: name.to_owned(), revision: revision.to_owned() })
    }

    /// Where its files lie; fetched first where they do not and the hub may be asked.
    ///
    /// # Errors
    /// [`ModelError::Hub`] where it is not there and cannot be fetched.
    pub fn locate(&self) -> Result<PathBuf, ModelError> {
        let Some(cache) = cache(|name| std::env::var_os(name)) else {
            return Err(self.failed("there is no HOME whose cache would hold it", true));
        };
        match self.cached_in(&cache) {
            Some(snapshot) => Ok(snapshot),
            None if is_offline() => {
                Err(self.failed("this run is offline, and the hub's cache has no such model", true))
            }
            None => download::download(self, &cache),
        }
    }

    fn cached_in(&self, cache: &Path) -> Option<PathBuf> {
        let repository = cache.join(format!("models--{}", self.name.replace('/', "--")));
        let reference = repository.join("refs").join(&self.revision);
        let commit = match std::fs::read_to_string(reference) {
            Ok(commit) => commit.trim().to_owned(),
            // A commit may be named itself.
            Err(_) => self.revision.clone(),
        };
        let snapshot = repository.join("snapshots").join(commit);
        snapshot.join(CONFIG_FILE).is_file().then_some(snapshot)
    }

    /// An error with what went wrong; `settled` where asking again would not change it.
    fn failed(&self, problem: impl Into<String>, settled: bool) -> ModelError {
        let revision = if self.revision == "main" { String::new() } else { format!("@{}", self.revision) };
        ModelError::Hub { name: format!("{}{revision}", self.name), problem: problem.into(), settled }
    }
}

/// The hub's cache by the variables that `huggingface_hub` reads, in its order.
fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set(&variable, "HF_HUB_CACHE").or_else(|| Some(home(&variable)?.join("hub")))
}

/// Where the hub's tools keep cache and token.
fn home(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set(&variable, "HF_HOME")
        .or_else(|| set(&variable, "XDG_CACHE_HOME").map(|caches| caches.join("huggingface")))
        .or_else(|| set(&variable, "HOME").map(|home| home.join(".cache/huggingface")))
}

fn set(variable: impl Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    variable(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Option<HubName> {
        HubName::of(Path::new(text))
    }

    #[test]
    fn names_are_told_from_paths() {
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
        assert_eq!(name("org/model@0123abc").unwrap().cached_in(cache.path()), None, "begun and not whole");
        distill_core::atomic::write(&snapshot.join("config.json"), b"{}").unwrap();
        distill_core::atomic::write(&repository.join("refs/main"), b"0123abc\n").unwrap();
        for there in ["org/model", "org/model@main", "org/model@0123abc"] {
            assert_eq!(name(there).unwrap().cached_in(cache.path()), Some(snapshot.clone()), "{there}");
        }
        for missing in ["org/other", "org/model@v2", "model"] {
            assert_eq!(name(missing).unwrap().cached_in(cache.path()), None, "{missing}");
        }
    }

    #[test]
    fn the_cache_lies_where_the_hubs_own_tools_put_it() {
        let with = |given: &'static [(&str, &str)]| {
            cache(|name| given.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()))
        };
        assert_eq!(with(&[]), None);
        assert_eq!(with(&[("HOME", "/h")]), Some("/h/.cache/huggingface/hub".into()));
        assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Some("/x/huggingface/hub".into()));
        assert_eq!(with(&[("HF_HOME", "/f"), ("XDG_CACHE_HOME", "/x")]), Some("/f/hub".into()));
        assert_eq!(with(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/f")]), Some("/c".into()));
    }
}
