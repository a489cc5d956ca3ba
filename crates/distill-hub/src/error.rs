//! Errors of models on the hub.

use std::path::PathBuf;

use distill_core::atomic::FileError;
use distill_core::{Category, StopReason};
use thiserror::Error;

/// A model that cannot be found or downloaded by its name.
#[derive(Debug, Error)]
pub enum HubError {
    /// A file of the cache could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A stop was requested.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// Trying again would not help.
    #[error("{name} is neither a directory nor a model from the Hugging Face hub: {problem}")]
    Unknown {
        /// `ORG/NAME`, with its revision.
        name: String,
        /// Why not.
        problem: String,
    },
    /// The hub, or a host that it redirects to, does not answer as it should.
    #[error("{name} is not a directory, and it cannot be fetched from the Hugging Face hub: {problem}")]
    Unreachable {
        /// `ORG/NAME`, with its revision.
        name: String,
        /// Why not.
        problem: String,
    },
    /// The hub's answers contradict each other.
    #[error("{name}: the hub's answer is refused: {problem}")]
    Refused {
        /// `ORG/NAME`, with its revision.
        name: String,
        /// The contradiction.
        problem: String,
    },
    /// A file in the cache does not match the hash in its name.
    #[error(
        "{}: its content does not match the hash {name} in its name (its {kind} is {found}): it was damaged or changed. \
         Remove that file to have it fetched again, or copy the model to a directory of your own if the change is meant",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The hash that is its name.
        name: String,
        /// The kind of hash.
        kind: &'static str,
        /// The hash that its content has.
        found: String,
    },
}

impl HubError {
    /// The kind of failure, which decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            HubError::File(error) => error.category(),
            HubError::Stopped(reason) => reason.category(),
            HubError::Unknown { .. } => Category::Usage,
            HubError::Unreachable { .. } => Category::Io,
            HubError::Refused { .. } | HubError::Damaged { .. } => Category::Data,
        }
    }
}
