//! Logits on disk: the soft-target store and tables of logits.
//!
//! Read in this order: [`fingerprint`] (what logits belong to), [`row`], [`schema`] and [`writer`] (one
//! Parquet file), [`table`] (read one, whoever wrote it), [`manifest`] and [`store`] (a directory of
//! shards), [`verify`], [`info`], [`shard_spec`] (one source over several machines), [`merge`].

pub mod fingerprint;
mod foreign;
pub mod info;
pub mod manifest;
pub mod merge;
pub mod row;
pub mod schema;
pub mod shard_spec;
pub mod store;
pub mod table;
mod table_fields;
pub mod verify;
pub mod writer;

pub use fingerprint::{Difference, Fingerprint};
pub use info::Info;
pub use manifest::{FileEntry, MANIFEST_FILE, Manifest, Shard, shard_name};
pub use merge::Merge;
pub use row::{LogitsRow, NO_ANSWER, TableRow};
pub use shard_spec::{ShardSpec, find_stores, stores_in};
pub use store::{Store, StoreRows};
pub use table::{LogitsTable, TableRows};
pub use verify::Damage;
pub use writer::{LogitsWriter, WriterOptions};

#[cfg(test)]
mod tests;
