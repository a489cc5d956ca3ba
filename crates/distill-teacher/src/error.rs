//! What can stop a pass over rows.

use distill_core::atomic::FileError;
use distill_core::{Category, StopReason};
use distill_data::batches::BatchError;
use distill_data::{DataError, TokenError};
use distill_torch::TorchError;
use thiserror::Error;

/// A pass that did not reach the last row.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// Asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// A row that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A text that cannot be tokenized.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// Tokens that do not fit the model.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The model gave logits that are infinite or not numbers.
    #[error("row {row} (id {id:?}): the model's logits are not finite: {logits:?}")]
    NotFinite {
        /// Position in the source.
        row: u64,
        /// The row's id.
        id: String,
        /// The logits.
        logits: Vec<f32>,
    },
    /// A model for rows was given words, or the other way round.
    #[error("the model is one of …{head}, and the batch asks for predictions of {rows}")]
    Positions {
        /// End of the name of the model's class.
        head: &'static str,
        /// What predictions are asked for.
        rows: &'static str,
    },
    /// A row without words where the model predicts a tag for each.
    #[error(
        "row {row} (id {id:?}) has a text and no list of words, and the model predicts a tag for each word"
    )]
    NoWords {
        /// Position in the source.
        row: u64,
        /// The row's id.
        id: String,
    },
    /// Logits of other windows than the tokenizer makes of the row.
    #[error("row {row} (id {id:?}): its logits are not those of the windows that the tokenizer makes of it")]
    Windows {
        /// Position in the source.
        row: u64,
        /// The row's id.
        id: String,
    },
    /// libtorch refused.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// Output could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A thread of the pass ended early.
    #[error("the {0} thread ended early")]
    Thread(&'static str),
    /// The operating system gave no further thread.
    #[error("cannot start the {name} thread: {source}")]
    Spawn {
        /// What it was for.
        name: &'static str,
        /// The operating system's message.
        source: std::io::Error,
    },
}

impl RunnerError {
    /// What kind of failure it is.
    pub fn category(&self) -> Category {
        match self {
            RunnerError::Stopped(_) => Category::Stopped,
            RunnerError::Data(error) => error.category(),
            RunnerError::Tokens(error) => error.category(),
            RunnerError::Batch(error) => error.category(),
            RunnerError::NoWords { .. } | RunnerError::Windows { .. } => Category::Data,
            RunnerError::NotFinite { .. }
            | RunnerError::Positions { .. }
            | RunnerError::Torch(_)
            | RunnerError::Thread(_) => Category::Internal,
            RunnerError::File(error) => error.category(),
            RunnerError::Spawn { .. } => Category::Io,
        }
    }
}
