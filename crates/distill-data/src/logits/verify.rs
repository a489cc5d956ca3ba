//! Reading a store again from its first byte to its last.

use std::path::PathBuf;

use distill_core::StopSignal;
use distill_core::hash::{file_hash_until, text_hash};

use super::manifest::Shard;
use super::store::Store;
use super::table::LogitsTable;
use crate::error::DataError;

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
    pub fn verify(&self, stop: &StopSignal) -> Result<Vec<Damage>, DataError> {
        let mut found = Vec::new();
        for shard in &self.manifest().shards {
            match self.verify_shard(shard, stop) {
                Ok(()) => {}
                Err(DataError::Stopped(reason)) => return Err(reason.into()),
                Err(error) => found.push(Damage { file: self.path(shard), what: error.to_string() }),
            }
        }
        Ok(found)
    }

    fn verify_shard(&self, shard: &Shard, stop: &StopSignal) -> Result<(), DataError> {
        let path = self.path(shard);
        stop.check()?;
        let hash = file_hash_until(&path, stop)?;
        if hash != shard.file.blake3 {
            let what = format!("its blake3 is {hash}, the manifest says {}", shard.file.blake3);
            return Err(DataError::damaged(&path, what));
        }
        self.check_shard(shard)?;
        if shard.file.rows == 0 {
            return Ok(());
        }
        for (next, row) in (shard.first_row..).zip(LogitsTable::open(&path)?.rows()?) {
            let row = row?;
            if next.is_multiple_of(STOP_EVERY) {
                stop.check()?;
            }
            if row.row.unsigned_abs() != next {
                let what = format!("{} where {next} should stand", row.row);
                return Err(DataError::value(&row.place, "row", what));
            }
            let hash = row.text.as_deref().map(|text| text_hash(text, row.text_pair.as_deref()));
            if hash.is_some() && hash != row.text_hash {
                return Err(DataError::value(&row.place, "text_hash", "not the hash of the row's text"));
            }
        }
        Ok(())
    }
}
