//! What can go wrong with a token cache. Damage is not among it: a damaged cache is built again.

use distill_core::atomic::FileError;
use distill_core::{Category, StopReason};
use thiserror::Error;

/// A token cache that cannot be written or opened.
#[derive(Debug, Error)]
pub enum CacheError {
    /// A file of the cache that cannot be read or written.
    #[error("token cache: {0} (use --no-cache to work without one)")]
    File(#[from] FileError),
    /// The run was asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// A key that cannot be a file name.
    #[error("token cache: the key {0:?} is not 1 to 128 letters, digits, '-' or '_'")]
    Key(String),
    /// A row whose columns do not fit together.
    #[error("token cache: row {row} (position in the source, from 0) has {problem}")]
    Row {
        /// Position in the source, from 0.
        row: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// No place for a cache: none of `DISTILL_CACHE`, `XDG_CACHE_HOME` and `HOME` is set.
    #[error(
        "token cache: none of DISTILL_CACHE, XDG_CACHE_HOME and HOME is set, so there is no directory for it"
    )]
    NoPlace,
    /// arrow2 refused what was just written.
    #[error("token cache: {0}")]
    Arrow(String),
}

impl CacheError {
    /// Files as their own error says; no place is wrong usage; all else is a defect of the caller.
    pub fn category(&self) -> Category {
        match self {
            CacheError::File(_) => Category::Io,
            CacheError::Stopped(reason) => reason.category(),
            CacheError::NoPlace => Category::Usage,
            CacheError::Key(_) | CacheError::Row { .. } | CacheError::Arrow(_) => Category::Internal,
        }
    }
}
