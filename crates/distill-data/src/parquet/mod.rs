//! Columns of Parquet files by name, in bounded memory, safe against damaged files.
//!
//! Read in this order: [`file`] (open and check a file), [`columns`] (read several columns in step).
//! What keeps a damaged file from harming the process: `guard` checks every size that a footer or a
//! page header claims before anything is allocated for it, `quiet` turns a panic inside the Parquet
//! library into an error.

pub mod columns;
mod delta;
pub mod file;
mod guard;
mod list;
mod quiet;
mod thrift;

pub use columns::{Column, ColumnBatches, Value};
pub use file::ParquetFile;

#[cfg(test)]
mod tests;
