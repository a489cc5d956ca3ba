//! Columns of Parquet files by name, in bounded memory, safe against damaged files.
//!
//! Read in this order: [`mod@file`] (open and check a file), [`meaning`] (what a column's type means), [`value`] (one
//! value by that meaning), [`columns`] (read several columns in step).
//! What keeps a damaged file from harming the process: `footer` and `guard` check every size that a
//! footer or a page claims before anything is allocated for it, and `crate::quiet` turns a panic inside
//! the Parquet library into an error.

pub mod columns;
mod delta;
pub mod file;
mod footer;
mod guard;
mod list;
pub mod meaning;
pub mod moment;
mod page_header;
mod thrift;
pub mod value;

pub use columns::{Column, ColumnBatches, Kind};
pub use file::ParquetFile;
pub use meaning::Meaning;
pub use value::{Decimal, Value};

use std::io;
use std::path::Path;

use ::parquet::errors::ParquetError;
use distill_core::atomic::FileError;

use crate::error::DataError;
use crate::quiet::{one_line, quietly};

/// Runs a call into the Parquet library; an error or a panic of it means that `file` is damaged.
///
/// What the call was working on must not be used again after an error: a panic may have left it in
/// any state.
fn guarded<T>(file: &Path, call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DataError> {
    match quietly(call) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match refused(error) {
            Ok(source) => FileError::new("read", file, source).into(),
            Err(error) => DataError::damaged(file, one_line(&error.to_string())),
        }),
        Err(panic) => Err(DataError::damaged(file, format!("the Parquet library failed: {panic}"))),
    }
}

/// What the system said, where it was the system that failed: that is no damage.
fn refused(error: ParquetError) -> Result<io::Error, ParquetError> {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            // A seek to a place that cannot be is the file's fault.
            Ok(source) if source.raw_os_error().is_some() && source.kind() != io::ErrorKind::InvalidInput => {
                Ok(*source)
            }
            Ok(source) => Err(ParquetError::External(source)),
            Err(inner) => Err(ParquetError::External(inner)),
        },
        other => Err(other),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod type_tests;
