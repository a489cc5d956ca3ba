//! One store from the stores of several shards or machines.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use distill_core::atomic::{AtomicFile, FileError};
use distill_core::hash::file_hash;
use distill_core::{Progress, StopSignal, open};

use super::fingerprint::Fingerprint;
use super::manifest::{FileEntry, MANIFEST_FILE, Manifest, Shard, shard_name};
use super::store::Store;
use crate::error::DataError;

/// Stores that make a whole, before anything is copied.
#[derive(Clone, Debug)]
pub struct Merge {
    fingerprint: Fingerprint,
    source_rows: Option<u64>,
    /// Each file with the name that it gets, in the order of the rows.
    files: Vec<(PathBuf, String, Shard)>,
}

impl Merge {
    /// Opens the stores and checks that together they hold each row once.
    ///
    /// # Errors
    /// [`DataError::Fingerprint`] where two stores differ; [`DataError::Store`] where a row is missing or
    /// stands twice; those of [`Store::open`].
    pub fn plan(directories: &[PathBuf]) -> Result<Self, DataError> {
        let stores: Vec<Store> = directories.iter().map(|path| Store::open(path)).collect::<Result<_, _>>()?;
        let Some(first) = stores.first() else {
            return Err(incomplete(Path::new("."), "there is nothing to merge".to_owned()));
        };
        let name = |store: &Store| store.directory().display().to_string();
        let source_rows = first.manifest().source_rows;
        for store in &stores[1..] {
            first.fingerprint().must_equal(&name(first), store.fingerprint(), &name(store))?;
            if store.manifest().source_rows != source_rows {
                let what = format!("its source does not have as many rows as that of {}", name(first));
                return Err(incomplete(store.directory(), what));
            }
        }
        let mut parts: Vec<(&Store, &Shard)> = stores
            .iter()
            .flat_map(|store| store.manifest().shards.iter().map(move |shard| (store, shard)))
            .collect();
        parts.sort_by_key(|(_, shard)| (shard.first_row, shard.file.rows));
        check_whole(first.directory(), &parts, source_rows)?;
        let named = |(index, (store, shard)): (usize, &(&Store, &Shard))| {
            (store.path(shard), shard_name(index, parts.len()), (*shard).clone())
        };
        let files = parts.iter().enumerate().map(named).collect();
        Ok(Merge { fingerprint: first.fingerprint().clone(), source_rows, files })
    }

    /// The blake3 of each file, in the order of the rows: what the result depends on.
    pub fn hashes(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(_, _, shard)| shard.file.blake3.as_str())
    }

    /// Copies the files into `out`, which must exist, hashing each on its way, and writes the manifest
    /// last: without one, what lies in `out` is no store. Files that an earlier attempt finished are kept.
    ///
    /// # Errors
    /// [`DataError::NotEmpty`] where `out` is a store already; [`DataError::Damaged`] for a file that is
    /// not what its manifest says; [`DataError::File`]; [`DataError::Stopped`].
    pub fn write(&self, out: &Path, stop: &StopSignal, progress: &dyn Progress) -> Result<Manifest, DataError> {
        if out.join(MANIFEST_FILE).exists() {
            return Err(DataError::NotEmpty { directory: out.to_owned() });
        }
        progress.begin("merge", self.files.len() as u64, "files");
        let mut shards = Vec::with_capacity(self.files.len());
        for (done, (from, name, shard)) in (1..).zip(&self.files) {
            let file = FileEntry { name: name.clone(), ..shard.file.clone() };
            if !is_there(&out.join(name), &file)? {
                copy(from, &out.join(name), &file, stop)?;
            }
            shards.push(Shard { file, first_row: shard.first_row });
            progress.update(done, "");
        }
        progress.end();
        let manifest = Manifest::new(self.fingerprint.clone(), shards, self.source_rows);
        manifest.write(out)?;
        Ok(manifest)
    }
}

/// Rows 0 to n, each once.
fn check_whole(
    directory: &Path,
    parts: &[(&Store, &Shard)],
    source_rows: Option<u64>,
) -> Result<(), DataError> {
    let mut next = 0u64;
    for (store, shard) in parts {
        let path = store.path(shard);
        if shard.first_row < next {
            let what = format!("row {} of {} is also in another shard", shard.first_row, path.display());
            return Err(incomplete(directory, what));
        }
        if shard.first_row > next {
            let what = format!("rows {next} to {} are in no shard", shard.first_row - 1);
            return Err(incomplete(directory, what));
        }
        next = next.saturating_add(shard.file.rows);
    }
    if let Some(rows) = source_rows.filter(|rows| *rows != next) {
        let held = if next == 0 { "no row".to_owned() } else { format!("rows 0 to {}", next - 1) };
        return Err(incomplete(directory, format!("the source has {rows} rows, but the shards have {held}")));
    }
    let expected = parts.iter().filter_map(|(_, shard)| count_in_name(&shard.file.name)).max().unwrap_or(0);
    if source_rows.is_none() && parts.len() < expected {
        let what = format!("there are {} shards, but their names say {expected}", parts.len());
        return Err(incomplete(directory, what));
    }
    Ok(())
}

/// `4` of `train-00000-of-00004.parquet`.
fn count_in_name(name: &str) -> Option<usize> {
    name.strip_suffix(".parquet")?.rsplit_once("-of-")?.1.parse().ok()
}

fn incomplete(directory: &Path, what: String) -> DataError {
    DataError::Store { directory: directory.to_owned(), what }
}

/// Whether an earlier attempt copied this file: files appear whole.
fn is_there(path: &Path, entry: &FileEntry) -> Result<bool, DataError> {
    if !path.exists() {
        return Ok(false);
    }
    let hash = file_hash(path).map_err(FileError::of("read", path))?;
    Ok(hash == entry.blake3)
}

fn copy(from: &Path, to: &Path, entry: &FileEntry, stop: &StopSignal) -> Result<(), DataError> {
    let mut source = open::to_read(from).map_err(FileError::of("open", from))?;
    let mut target = AtomicFile::create(to)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        stop.check()?;
        let read = source.read(&mut buffer).map_err(FileError::of("read", from))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(FileError::of("write", to))?;
    }
    let hash = hasher.finalize().to_hex().to_string();
    if hash != entry.blake3 {
        return Err(DataError::damaged(
            from,
            format!("its blake3 is {hash}, the manifest says {}", entry.blake3),
        ));
    }
    Ok(target.commit()?)
}
