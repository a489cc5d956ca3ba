//! Columns of Parquet files by name, in bounded memory, safe against damaged files.
//!
//! Read in this order: [`file`] (open and check a file), [`columns`] (read several columns in step).
//! What keeps a damaged file from harming the process: `footer` and `guard` check every size that a
//! footer or a page claims before anything is allocated for it, and [`crate::quiet`] turns a panic inside
//! the Parquet library into an error.

pub mod columns;
mod delta;
pub mod file;
mod footer;
mod guard;
mod list;
mod page_header;
mod thrift;

pub use columns::{Column, ColumnBatches, Value};
pub use file::ParquetFile;

use std::path::Path;

use ::parquet::errors::ParquetError;

use crate::error::DataError;
use crate::quiet::{one_line, quietly};

/// Runs a call into the Parquet library; an error or a panic of it means that `file` is damaged.
///
/// What the call was working on must not be used again after an error: a panic may have left it in
/// any state.
fn guarded<T>(file: &Path, call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DataError> {
    match quietly(call) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(DataError::damaged(file, one_line(&error.to_string()))),
        Err(panic) => Err(DataError::damaged(file, format!("the Parquet library gave up: {panic}"))),
    }
}

#[cfg(test)]
mod tests;
