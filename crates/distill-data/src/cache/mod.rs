//! The token cache: every row's ids, label and soft targets, computed once and then read at random.
//!
//! On disk a cache is `KEY.tokens.arrow`, an Arrow IPC file that distill alone writes, and `KEY.tokens.json`, written last:
//! the key, the counts, and length and blake3 of the Arrow file. It is opened only where all of those agree;
//! a damaged or foreign cache is built again. What a frozen encoder makes of such rows is kept next to them, in
//! `KEY.features.FIRST.safetensors`. Read in this order: `rows` (the columns, and the cache in
//! memory), `writer`, `sidecar`, `listing`, `locks`, `open`, `map` and `mapped` (the only `unsafe`), `features`, `manage` (where caches lie, `info`,
//! `clean`).

mod error;
mod features;
mod listing;
mod locks;
mod manage;
mod map;
mod mapped;
mod open;
mod rows;
mod sidecar;
mod writer;

use std::fs::File;
use std::path::{Path, PathBuf};

use distill_core::hash::Hasher;

pub use error::CacheError;
pub use features::{FeatureFiles, FeatureShape};
pub use manage::{CacheEntry, Cleaned, Cleaning, Holds, cache_dir, clean, info};
pub use mapped::explain_lost_pages;
pub use rows::{Example, NO_TAG};
pub use writer::CacheWriter;

use map::MappedRows;
use rows::Rows;

/// Version of the files; it stands in the sidecar, and another version is built again.
pub const CACHE_FORMAT: u32 = 4;

/// Rows that were tokenized once, mapped from disk or held in memory.
#[derive(Debug)]
pub struct TokenCache {
    store: Store,
    /// Where it lies; none in memory.
    directory: Option<PathBuf>,
    /// The Arrow file with its shared lock.
    _in_use: Option<File>,
}

#[derive(Debug)]
enum Store {
    Mapped(MappedRows),
    Memory(Box<Rows>),
}

impl TokenCache {
    /// Runs `build` into memory, for a run that leaves no cache behind.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn in_memory<E>(build: impl FnOnce(&mut CacheWriter) -> Result<(), E>) -> Result<Self, E> {
        let mut writer = CacheWriter::memory();
        build(&mut writer)?;
        Ok(TokenCache { store: Store::Memory(Box::new(writer.into_rows())), directory: None, _in_use: None })
    }

    /// Where it lies, and what is made of its rows may lie too; none for a cache in memory.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Hash of what an encoder reads: every row's ids and type ids, and the positions that are predicted, in their order.
    pub fn tokens_hash(&self) -> String {
        let mut hasher = Hasher::default();
        for row in 0..self.len() {
            let Example { input_ids, token_type_ids, positions, .. } = self.get(row);
            hasher.update(&(input_ids.len() as u64).to_le_bytes());
            let ids: Vec<u8> = input_ids.iter().flat_map(|id| id.to_le_bytes()).collect();
            hasher.update(&ids).update(&[u8::from(token_type_ids.is_some())]);
            hasher.update(token_type_ids.unwrap_or_default());
            if !positions.is_empty() {
                hasher.update(&(positions.len() as u64).to_le_bytes());
                let places: Vec<u8> = positions.iter().flat_map(|place| place.to_le_bytes()).collect();
                hasher.update(&places);
            }
        }
        hasher.finish()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.store {
            Store::Mapped(rows) => rows.len(),
            Store::Memory(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Row `index`, in the order in which rows were pushed.
    ///
    /// # Panics
    /// As a slice does, where `index` is not below [`TokenCache::len`].
    pub fn get(&self, index: usize) -> Example<'_> {
        match &self.store {
            Store::Mapped(rows) => rows.get(index),
            Store::Memory(rows) => rows.get(index),
        }
    }

    /// Tokens of each row.
    pub fn lengths(&self) -> Vec<u32> {
        match &self.store {
            Store::Mapped(rows) => rows.lengths(),
            Store::Memory(rows) => rows.lengths(),
        }
    }
}

/// The first 8 bytes of blake3 of a row's id, little-endian: how a cached row is joined with its id.
pub fn id_hash(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes()[..8].iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
