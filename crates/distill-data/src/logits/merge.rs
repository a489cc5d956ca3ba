//! One store from the stores of several shards or machines.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use distill_core::StopSignal;
use distill_core::atomic::{AtomicFile, FileError};

use super::manifest::{FileEntry, Manifest, Shard, shard_name};
use super::store::Store;
use crate::error::DataError;

/// Copies the shards of several stores into `out`, which must be empty or not exist, and writes one
/// manifest. Each file is hashed on its way.
///
/// # Errors
/// [`DataError::Fingerprint`] where two stores differ; [`DataError::Store`] where a row is missing or
/// stands twice; [`DataError::NotEmpty`] for `out`; [`DataError::Damaged`] for a file that is not what its manifest
/// says; [`DataError::File`]; [`DataError::Stopped`]. The manifest is written last: without one, what
/// lies in `out` is no store.
pub fn merge(directories: &[PathBuf], out: &Path, stop: &StopSignal) -> Result<Manifest, DataError> {
    let stores: Vec<Store> = directories.iter().map(|path| Store::open(path)).collect::<Result<_, _>>()?;
    let Some(first) = stores.first() else {
        return Err(incomplete(out, "there is nothing to merge"));
    };
    let name = |store: &Store| store.directory().display().to_string();
    for store in &stores[1..] {
        first.fingerprint().must_equal(&name(first), store.fingerprint(), &name(store))?;
    }
    let mut parts: Vec<(&Store, &Shard)> = stores
        .iter()
        .flat_map(|store| store.manifest().shards.iter().map(move |shard| (store, shard)))
        .collect();
    parts.sort_by_key(|(_, shard)| (shard.first_row, shard.file.rows));
    let source_rows = stores.iter().find_map(|store| store.manifest().source_rows);
    check_whole(out, &parts, source_rows)?;
    prepare(out)?;
    let mut shards = Vec::with_capacity(parts.len());
    for (index, (store, shard)) in parts.iter().enumerate() {
        let file = copy(&store.path(shard), out, shard_name(index, parts.len()), &shard.file, stop)?;
        shards.push(Shard { file, first_row: shard.first_row });
    }
    let manifest = Manifest::new(first.fingerprint().clone(), shards, source_rows);
    manifest.write(out)?;
    Ok(manifest)
}

/// Rows 0 to n, each once.
fn check_whole(out: &Path, parts: &[(&Store, &Shard)], source_rows: Option<u64>) -> Result<(), DataError> {
    let mut next = 0u64;
    for (store, shard) in parts {
        let path = store.path(shard);
        if shard.first_row < next {
            let what = format!("row {} of {} stands in another shard too", shard.first_row, path.display());
            return Err(incomplete(out, &what));
        }
        if shard.first_row > next {
            let what = format!("rows {next} to {} are in no shard", shard.first_row - 1);
            return Err(incomplete(out, &what));
        }
        next = next.saturating_add(shard.file.rows);
    }
    if let Some(rows) = source_rows.filter(|rows| *rows != next) {
        let what = format!("the source has {rows} rows, the shards hold rows 0 to {}", next.saturating_sub(1));
        return Err(incomplete(out, &what));
    }
    let expected = parts.iter().filter_map(|(_, shard)| count_in_name(&shard.file.name)).max().unwrap_or(0);
    if source_rows.is_none() && parts.len() < expected {
        let what = format!("{} shards, their names speak of {expected}", parts.len());
        return Err(incomplete(out, &what));
    }
    Ok(())
}

/// `4` of `train-00000-of-00004.parquet`.
fn count_in_name(name: &str) -> Option<usize> {
    name.strip_suffix(".parquet")?.rsplit_once("-of-")?.1.parse().ok()
}

fn incomplete(out: &Path, what: &str) -> DataError {
    DataError::Store { directory: out.to_owned(), what: what.to_owned() }
}

fn prepare(out: &Path) -> Result<(), DataError> {
    std::fs::create_dir_all(out).map_err(FileError::of("create", out))?;
    let mut entries = std::fs::read_dir(out).map_err(FileError::of("read", out))?;
    if entries.next().is_some() {
        return Err(DataError::NotEmpty { directory: out.to_owned() });
    }
    Ok(())
}

fn copy(
    from: &Path,
    out: &Path,
    name: String,
    entry: &FileEntry,
    stop: &StopSignal,
) -> Result<FileEntry, DataError> {
    let to = out.join(&name);
    let mut source = File::open(from).map_err(FileError::of("open", from))?;
    let mut target = AtomicFile::create(&to)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        stop.check()?;
        let read = source.read(&mut buffer).map_err(FileError::of("read", from))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        target.write_all(&buffer[..read]).map_err(FileError::of("write", &to))?;
    }
    let hash = hasher.finalize().to_hex().to_string();
    if hash != entry.blake3 {
        return Err(DataError::damaged(
            from,
            format!("its blake3 is {hash}, the manifest says {}", entry.blake3),
        ));
    }
    target.commit()?;
    Ok(FileEntry { name, ..entry.clone() })
}
