//! Stores made of stores: merged shards, averaged teachers.

mod average;
mod merge;

pub use average::AverageStage;
pub use merge::MergeStage;

use crate::error::Result;
use std::path::PathBuf;

use distill_data::logits::stores_in;

/// The stores in some directories.
///
/// # Errors
/// Where one holds no store.
pub fn stores(directories: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for directory in directories {
        all.extend(stores_in(directory)?);
    }
    Ok(all)
}

/// `1 file`, `2 files`.
pub fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{count} files") }
}
