//! The token cache: every row's ids, label and soft targets, computed once and then read at random.
//!
//! On disk a cache is `KEY.tokens.arrow`, an Arrow IPC file that distill alone writes, and `KEY.tokens.json`, written last:
//! the key, the counts, and length and blake3 of the Arrow file. It is opened only where all of those agree;
//! a damaged or foreign cache is built again. Read in this order: `rows` (the columns, and the cache in
//! memory), `writer`, `sidecar`, `open`, `map` (the only `unsafe`), `manage` (where caches lie, `info`, `clean`).

mod error;
mod manage;
mod map;
mod open;
mod rows;
mod sidecar;
mod writer;

use std::fs::File;

pub use error::CacheError;
pub use manage::{CacheEntry, Cleaned, Cleaning, cache_dir, clean, info};
pub use rows::Example;
pub use writer::CacheWriter;

use map::MappedRows;
use rows::Rows;

/// Version of the files; it stands in the sidecar, and another version is built again.
pub const CACHE_FORMAT: u32 = 2;

/// Rows that were tokenized once, mapped from disk or held in memory.
#[derive(Debug)]
pub struct TokenCache {
    store: Store,
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
        Ok(TokenCache { store: Store::Memory(Box::new(writer.into_rows())), _in_use: None })
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

    /// Tokens of all rows together.
    pub fn total_tokens(&self) -> u64 {
        self.lengths().into_iter().map(u64::from).sum()
    }
}

/// The first 8 bytes of blake3 of a row's id, little-endian: how a cached row is joined with its id.
pub fn id_hash(id: &str) -> u64 {
    let hash = blake3::hash(id.as_bytes());
    hash.as_bytes()[..8].iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests;
