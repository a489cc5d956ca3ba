//! Reading a store again from its first byte to its last.

use std::path::PathBuf;

use distill_core::atomic::FileError;
use distill_core::{Progress, StopSignal};

use super::fingerprint::Fingerprint;
use super::manifest::{MANIFEST_FILE, Shard};
use super::store::{Store, checked, strict};
use super::table::LogitsTable;
use crate::error::DataError;
use crate::source::hash_of;

/// Rows between two looks at the stop signal.
const STOP_EVERY: u64 = 1024;

/// A file of a store that is not what the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl Store {
    /// Hashes every file, and reads every row of those whose hash is right; returns what is damaged.
    /// For a store that [`Store::open`] refuses see [`Store::open_unchecked`].
    ///
    /// # Errors
    /// [`DataError::Stopped`] only; everything else is damage.
    pub fn verify(&self, stop: &StopSignal, progress: &dyn Progress) -> Result<Vec<Damage>, DataError> {
        let shards = &self.manifest().shards;
        let mut found: Vec<Damage> = self.gaps().collect();
        progress.begin("verify", shards.len() as u64, "files");
        for (done, shard) in (1..).zip(shards) {
            match self.verify_shard(shard, stop) {
                Ok(()) => {}
                Err(DataError::Stopped(reason)) => return Err(reason.into()),
                Err(error) => found.push(Damage { file: self.path(shard), what: error.to_string() }),
            }
            progress.update(done, "");
        }
        progress.end();
        Ok(found)
    }

    /// Parquet files that lie in the store's directory and are none of its files: whoever reads all of
    /// the directory reads them too.
    ///
    /// # Errors
    /// [`DataError::File`].
    pub fn strangers(&self) -> Result<Vec<PathBuf>, DataError> {
        let directory = self.directory();
        let mut found = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(FileError::of("read", directory))? {
            let entry = entry.map_err(FileError::of("read", directory))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let listed = self.manifest().shards.iter().any(|shard| shard.file.name == name);
            if name.ends_with(".parquet") && !name.starts_with('.') && !listed {
                found.push(entry.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Rows between two files that are in neither.
    fn gaps(&self) -> impl Iterator<Item = Damage> {
        let manifest = self.directory().join(MANIFEST_FILE);
        self.manifest().shards.windows(2).filter_map(move |pair| {
            let end = pair[0].first_row + pair[0].file.rows;
            (end < pair[1].first_row).then(|| Damage {
                file: manifest.clone(),
                what: format!(
                    "{} is damaged: no file contains rows {end} to {}",
                    manifest.display(),
                    pair[1].first_row - 1
                ),
            })
        })
    }

    fn verify_shard(&self, shard: &Shard, stop: &StopSignal) -> Result<(), DataError> {
        let path = self.path(shard);
        stop.check()?;
        let (file, _) = checked(&path, shard, stop)?;
        self.check_shard(shard)?;
        if shard.file.rows == 0 {
            return Ok(());
        }
        let Fingerprint { label_map, problem_type, .. } = self.fingerprint();
        let (mut next, mut texts) = (shard.first_row, None);
        for row in LogitsTable::of_parquet(file)?.rows()? {
            let row = row?;
            if next.is_multiple_of(STOP_EVERY) {
                stop.check()?;
            }
            let place = row.place.clone();
            // All that a student's reader checks, by the same function.
            let row = strict(row, next, label_map, *problem_type)?;
            let hash =
                row.text.as_deref().map(|text| hash_of(text, row.text_pair.as_deref(), row.tokens.as_deref()));
            if hash.is_some_and(|hash| hash != row.text_hash) {
                return Err(DataError::value(&place, "text_hash", "not the hash of the row's text"));
            }
            // With some texts missing, a student can neither read the store's nor know that it needs others.
            if *texts.get_or_insert(row.text.is_some()) != row.text.is_some() {
                return Err(DataError::value(&place, "text", "some rows have a text and others have none"));
            }
            next += 1;
        }
        if next != shard.first_row + shard.file.rows {
            let what = format!("{} rows, the manifest says {}", next - shard.first_row, shard.file.rows);
            return Err(DataError::damaged(&path, what));
        }
        Ok(())
    }
}
