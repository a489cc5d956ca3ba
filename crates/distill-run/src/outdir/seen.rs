//! The state of a run's inputs when it began: the result of a run whose inputs changed is worthless.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use distill_core::record::RUN_FILE;
use distill_student::metrics::METRICS_FILE;

use super::owned::listed;

/// Files of a model or store directory that no run reads as an input.
const UNREAD: [&str; 3] = ["README.md", RUN_FILE, METRICS_FILE];

/// The files of some paths, with what changes when they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    paths: Vec<PathBuf>,
    files: BTreeMap<PathBuf, Identity>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    bytes: u64,
    modified: Option<SystemTime>,
    inode: (u64, u64),
}

impl Seen {
    /// Looks at paths. What is missing or cannot be read is for the reader of it to say.
    pub fn of(paths: Vec<PathBuf>) -> Self {
        let mut files = BTreeMap::new();
        for path in &paths {
            for file in files_of(path) {
                if let Ok(metadata) = std::fs::metadata(&file) {
                    files.insert(file, Identity::of(&metadata));
                }
            }
        }
        Seen { paths, files }
    }

    /// The first file that has changed.
    pub fn changed(&self) -> Option<PathBuf> {
        let now = Seen::of(self.paths.clone());
        let both = self.files.keys().chain(now.files.keys());
        both.filter(|file| self.files.get(*file) != now.files.get(*file)).min().cloned()
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Identity { bytes: metadata.len(), modified: metadata.modified().ok(), inode: inode(metadata) }
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> (u64, u64) {
    (0, 0)
}

fn files_of(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let is_read = |name: &String| !name.starts_with('.') && !UNREAD.contains(&name.as_str());
    let names = listed(path).unwrap_or_default().into_iter().filter(is_read);
    names.map(|name| path.join(name)).filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use distill_core::atomic;

    #[test]
    fn a_file_that_is_written_again_added_or_removed_has_changed() {
        let work = tempfile::tempdir().unwrap();
        let (data, model) = (work.path().join("rows.jsonl"), work.path().join("model"));
        std::fs::create_dir(&model).unwrap();
        let weights = model.join("model.safetensors");
        for path in [&data, &weights] {
            atomic::write(path, b"one").unwrap();
        }
        let seen = || Seen::of(vec![data.clone(), model.clone(), work.path().join("ORG/NAME")]);
        let first = seen();
        assert_eq!(first.changed(), None);
        atomic::write(&model.join("README.md"), b"a card").unwrap();
        assert_eq!(first.changed(), None, "a card is no input");
        atomic::write(&data, b"two").unwrap();
        assert_eq!(first.changed(), Some(data.clone()), "of the same length");
        let second = seen();
        std::fs::remove_file(&weights).unwrap();
        assert_eq!(second.changed(), Some(weights));
        let third = seen();
        atomic::write(&model.join("vocab.txt"), b"a").unwrap();
        assert_eq!(third.changed(), Some(model.join("vocab.txt")));
    }
}
