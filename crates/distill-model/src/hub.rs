//! Models by their name on the Hugging Face hub, as far as they lie in its cache on this machine.
//!
//! distill fetches nothing itself: `hf download NAME` fills the cache, whose layout is the one that `huggingface_hub`
//! documents: `models--ORG--NAME/refs/REVISION` names a commit, `snapshots/COMMIT/` holds its files.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A name on the hub with its revision: `ORG/NAME`, `ORG/NAME@REVISION`, `NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubName {
    name: String,
    revision: String,
}

impl HubName {
    /// The name that a path would be, if it is one.
    pub fn of(path: &Path) -> Option<Self> {
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

    /// Where its files lie, if they do.
    pub fn cached(&self) -> Option<PathBuf> {
        self.cached_in(&cache(|name| std::env::var_os(name))?)
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
        snapshot.is_dir().then_some(snapshot)
    }

    /// What to do where it is not there.
    pub fn hint(&self) -> String {
        let revision =
            if self.revision == "main" { String::new() } else { format!(" --revision {}", self.revision) };
        format!(
            "; the directory does not exist, and the hub's cache on this machine holds no model of this name: \
             distill itself fetches nothing, `hf download {}{revision}` does",
            self.name
        )
    }
}

/// The hub's cache by the variables that `huggingface_hub` reads, in its order.
fn cache(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HF_HUB_CACHE")
        .or_else(|| set("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| set("XDG_CACHE_HOME").map(|caches| caches.join("huggingface/hub")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/huggingface/hub")))
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
