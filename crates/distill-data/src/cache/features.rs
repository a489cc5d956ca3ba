//! `KEY.features.FIRST.safetensors`: what a frozen encoder made of the rows from number `FIRST` on.
//!
//! The rows of a cache lie in as many such files as it took: a pass that is stopped leaves those it has finished, and
//! the next one goes on with the rows that are in none. Each is a file by itself, with a hash over its rows' numbers
//! and values in its header; one that is damaged or foreign is removed, and its rows are computed again.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use distill_core::atomic::FileError;
use distill_core::hash::Hasher;
use distill_core::{StopSignal, atomic, open};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::CacheError;
use super::listing::{Kind, feature_files, remove_half_written};
use super::locks::{lock_file, mark_used, wait_for};
use super::sidecar::{Paths, Refusal};

/// Version of the files; another one is computed again.
const FEATURES_FORMAT: u32 = 1;
const TENSOR: &str = "features";
/// The one entry of the file's metadata: safetensors writes several in no order.
const NOTES: &str = "distill";
/// The header of a file has one tensor and some hundred characters of metadata.
const MAX_HEADER: u64 = 1 << 16;

/// How many rows there are to keep, and of how many numbers each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureShape {
    /// `N`, all rows of the token cache.
    pub rows: usize,
    /// `H`
    pub width: usize,
}

/// The features of one key, which this process alone reads and writes while the value lives.
#[derive(Debug)]
pub struct FeatureFiles {
    directory: PathBuf,
    key: String,
    about: String,
    shape: FeatureShape,
    _lock: File,
}

/// What a file says of itself next to its tensor.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Notes {
    format: u32,
    pub key: String,
    /// What it was made of, for people.
    pub about: String,
    /// Number of its first row.
    pub first: u64,
    /// Rows of the whole token cache.
    pub of_rows: u64,
    /// Of everything but `about` and `of_rows`, which the key decides.
    blake3: String,
}

/// What a file's header says.
pub(super) struct FeatureHeader {
    pub notes: Notes,
    pub rows: u64,
    pub width: u64,
}

impl FeatureFiles {
    /// The features of `key` in `directory`; waits for another process that has them.
    ///
    /// `key` names everything that they depend on: 1 to 128 letters, digits, `-` or `_`. `about` says the same to
    /// people.
    ///
    /// # Errors
    /// [`CacheError`] where the directory cannot be used, or a stop is asked for while it waits.
    pub fn open(
        directory: &Path,
        key: &str,
        about: &str,
        shape: FeatureShape,
        stop: &StopSignal,
    ) -> Result<Self, CacheError> {
        let path = lock_path(directory, key)?;
        std::fs::create_dir_all(directory).map_err(FileError::of("create", directory))?;
        let lock = lock_file(&path)?;
        let alone = wait_for(&path, stop, || lock.try_lock())?;
        mark_used(&lock);
        if alone {
            remove_half_written(directory, key, Kind::Features)?;
        }
        let (key, about) = (key.to_owned(), about.to_owned());
        Ok(FeatureFiles { directory: directory.to_owned(), key, about, shape, _lock: lock })
    }

    /// Hands on what is there: the number of a first row, and row-major `[n, H]` from it on.
    ///
    /// # Errors
    /// [`CacheError`] where the directory cannot be read, a damaged file not be removed, or a stop is asked for.
    pub fn read(&self, stop: &StopSignal, mut each: impl FnMut(usize, &[f32])) -> Result<(), CacheError> {
        for path in feature_files(&self.directory, &self.key)? {
            stop.check()?;
            match self.part(&path) {
                Ok((first, values)) => each(first, &values),
                Err(why) => {
                    tracing::warn!(features = %path.display(), "features are computed again: {why}");
                    std::fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Keeps row-major `[n, H]` from row number `first` on, for whoever comes next.
    ///
    /// # Errors
    /// [`CacheError::File`] where the file cannot be written.
    pub fn write(&self, first: usize, values: &[f32]) -> Result<(), CacheError> {
        let FeatureShape { rows: of_rows, width } = self.shape;
        let path = self.directory.join(format!("{}.features.{first:09}.safetensors", self.key));
        let refused = |error: String| CacheError::Arrow(format!("features cannot be written: {error}"));
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let blake3 = values_hash(&self.key, first as u64, width as u64, &bytes);
        let notes = Notes {
            format: FEATURES_FORMAT,
            key: self.key.clone(),
            about: self.about.clone(),
            first: first as u64,
            of_rows: of_rows as u64,
            blake3,
        };
        let notes = serde_json::to_string(&notes).map_err(|error| refused(error.to_string()))?;
        let metadata = HashMap::from([(NOTES.to_owned(), notes)]);
        let shape = vec![values.len() / width.max(1), width];
        let view = TensorView::new(Dtype::F32, shape, &bytes).map_err(|error| refused(error.to_string()))?;
        let file = safetensors::serialize([(TENSOR, view)], Some(metadata))
            .map_err(|error| refused(error.to_string()))?;
        Ok(atomic::write(&path, &file)?)
    }

    /// One file, if it is whole and of these features.
    fn part(&self, path: &Path) -> Result<(usize, Vec<f32>), Refusal> {
        let FeatureHeader { notes, rows: part_rows, width: part_width } = FeatureHeader::read(path)?;
        let FeatureShape { rows, width } = self.shape;
        let ours = (self.key.as_str(), rows as u64, width as u64);
        if (notes.key.as_str(), notes.of_rows, part_width) != ours {
            return Err("it belongs to other rows or another encoder".to_owned().into());
        }
        if notes.first.checked_add(part_rows).is_none_or(|end| end > rows as u64) {
            return Err(format!("it has rows from {} on, of {rows}", notes.first).into());
        }
        // What the header claims is no more than the rows there are, so neither is what is read.
        let longest = MAX_HEADER + 8 + part_rows * part_width * 4;
        let bytes = read_up_to(path, longest + 1)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
        let tensor = file.tensor(TENSOR).map_err(|error| error.to_string())?;
        let found = values_hash(&self.key, notes.first, part_width, tensor.data());
        if found != notes.blake3 {
            return Err(format!("its blake3 is {found}, its header says {}", notes.blake3).into());
        }
        let values = tensor.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok((notes.first as usize, values))
    }
}

impl FeatureHeader {
    /// Reads no more of a file than its header.
    pub fn read(path: &Path) -> Result<Self, Refusal> {
        let bytes = read_up_to(path, 8)?;
        let length = bytes.as_slice().try_into().map(u64::from_le_bytes).unwrap_or(0);
        if length > MAX_HEADER {
            return Err(format!("its header has {length} bytes").into());
        }
        let header = read_up_to(path, 8 + length)?;
        let header = header.get(8..).unwrap_or_default();
        let metadata: Metadata = serde_json::from_slice(header)
            .map_err(|error| Refusal::Bad(format!("its header cannot be read: {error}")))?;
        let notes = metadata.metadata().as_ref().and_then(|entries| entries.get(NOTES));
        let notes: Notes = serde_json::from_str(notes.map_or("", String::as_str))
            .map_err(|error| Refusal::Bad(format!("its header lacks the description: {error}")))?;
        if notes.format != FEATURES_FORMAT {
            return Err(format!("it has format {}, this version writes {FEATURES_FORMAT}", notes.format).into());
        }
        let tensor = metadata.info(TENSOR).filter(|tensor| tensor.dtype == Dtype::F32);
        let Some([rows, width]) = tensor.map(|tensor| tensor.shape.as_slice()) else {
            return Err("it contains other tensors".to_owned().into());
        };
        Ok(FeatureHeader { notes, rows: *rows as u64, width: *width as u64 })
    }
}

pub(super) fn lock_path(directory: &Path, key: &str) -> Result<PathBuf, CacheError> {
    Ok(Paths::of(directory, key)?.lock.with_file_name(format!("{key}.features.lock")))
}

/// What lies where, too: values under other numbers would be other rows'.
fn values_hash(key: &str, first: u64, width: u64, values: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(key.as_bytes()).update(&first.to_le_bytes()).update(&width.to_le_bytes());
    hasher.update(values).finish()
}

fn read_up_to(path: &Path, bytes: u64) -> Result<Vec<u8>, Refusal> {
    let mut read = Vec::new();
    open::to_read(path)
        .and_then(|file| file.take(bytes).read_to_end(&mut read))
        .map_err(|error| Refusal::System(FileError::new("read", path, error)))?;
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use distill_core::StopReason;

    const SHAPE: FeatureShape = FeatureShape { rows: 5, width: 3 };

    fn key() -> String {
        "c".repeat(64)
    }

    fn open(directory: &Path, shape: FeatureShape) -> FeatureFiles {
        FeatureFiles::open(directory, &key(), "rows by an encoder", shape, &StopSignal::default()).unwrap()
    }

    fn read(files: &FeatureFiles) -> Vec<(usize, Vec<f32>)> {
        let mut found = Vec::new();
        files.read(&StopSignal::default(), |first, values| found.push((first, values.to_vec()))).unwrap();
        found
    }

    fn part(directory: &Path, first: usize) -> PathBuf {
        directory.join(format!("{}.features.{first:09}.safetensors", key()))
    }

    #[test]
    fn parts_come_back_as_they_were_written_and_to_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let parts = [(0, vec![0.1, f32::MIN_POSITIVE, -0.0]), (3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.5])];
        let files = open(directory.path(), SHAPE);
        assert_eq!(read(&files), []);
        parts.iter().for_each(|(first, values)| files.write(*first, values).unwrap());
        drop(files);
        let files = open(directory.path(), SHAPE);
        assert_eq!(read(&files), parts);
        let bytes = std::fs::read(part(directory.path(), 0)).unwrap();
        files.write(0, &parts[0].1).unwrap();
        assert_eq!(std::fs::read(part(directory.path(), 0)).unwrap(), bytes);
        drop(files);
        // Neither for more rows nor for wider ones; and what is of no use is gone.
        assert_eq!(read(&open(directory.path(), FeatureShape { rows: 6, ..SHAPE })), []);
        assert!(!part(directory.path(), 0).exists());
    }

    #[test]
    fn every_changed_bit_and_every_truncation_costs_that_part_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let files = open(directory.path(), SHAPE);
        files.write(0, &[1.0; 3]).unwrap();
        files.write(3, &[2.0; 6]).unwrap();
        let path = part(directory.path(), 3);
        let whole = std::fs::read(&path).unwrap();
        let about = String::from_utf8_lossy(&whole).find("rows by an encoder").unwrap();
        let mut damaged: Vec<Vec<u8>> = Vec::new();
        // What it says of itself to people may be anything.
        for bit in (0..whole.len() * 8).filter(|bit| !(about..about + 18).contains(&(bit / 8))) {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            damaged.push(bytes);
        }
        damaged.extend((0..whole.len()).map(|length| whole[..length].to_vec()));
        damaged.push([&whole[..], b"\0"].concat());
        for (number, bytes) in damaged.iter().enumerate() {
            overwrite(&path, bytes);
            let found = read(&files);
            let good = found == [(0, vec![1.0; 3])] || found == [(0, vec![1.0; 3]), (3, vec![2.0; 6])];
            assert!(good, "damage {number}: {found:?}");
        }
    }

    // Without the fsyncs of `atomic`, of which thousands would take minutes.
    #[allow(clippy::disallowed_methods)]
    fn overwrite(path: &Path, bytes: &[u8]) {
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn whoever_comes_second_waits_and_heeds_a_stop_and_what_killed_runs_left_goes() {
        let directory = tempfile::tempdir().unwrap();
        let left = directory.path().join(format!(".{}.features.000000000.safetensors.x1.tmp", key()));
        overwrite(&left, b"half");
        let first = open(directory.path(), SHAPE);
        assert!(!left.exists());
        let stop = StopSignal::default();
        stop.raise(StopReason::Terminate);
        let second = FeatureFiles::open(directory.path(), &key(), "", SHAPE, &stop);
        assert!(matches!(second, Err(CacheError::Stopped(_))));
        drop(first);
        open(directory.path(), SHAPE);
    }

    #[test]
    fn features_are_listed_and_cleaned_with_tokens() {
        use crate::cache::{CacheEntry, Cleaning, Holds, clean, info};

        let directory = tempfile::tempdir().unwrap();
        let files = open(directory.path(), SHAPE);
        assert_eq!(info(directory.path()).unwrap(), []);
        files.write(0, &[1.0; 3]).unwrap();
        files.write(3, &[2.0; 6]).unwrap();
        let entries = info(directory.path()).unwrap();
        let [CacheEntry { key: found, about, holds, rows: 3, bytes, used: Some(used) }] = entries.as_slice()
        else {
            panic!("{entries:?}")
        };
        assert_eq!((found, about.as_str()), (&key(), "rows by an encoder"));
        assert_eq!(*holds, Holds::Features { of_rows: 5, width: 3 });
        assert_eq!(clean(directory.path(), Cleaning::default()).unwrap().busy, 1);
        drop(files);
        let hour = std::time::Duration::from_secs(3600);
        let recent = Cleaning { unused_since: Some(*used - hour), dry_run: false };
        assert_eq!(clean(directory.path(), recent).unwrap().recent, 1);
        let mine = directory.path().join("mine.features.0.safetensors");
        overwrite(&mine, b"mine");
        let cleaned = clean(directory.path(), Cleaning::default()).unwrap();
        assert_eq!((cleaned.removed, cleaned.bytes), (1, *bytes));
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [mine]);
    }
}
