//! What can be wrong with a model directory.

use std::path::PathBuf;

use distill_core::atomic::FileError;
use distill_core::hash::HashError;
use distill_core::{Category, LabelError, StopReason};
use distill_hub::HubError;
use distill_torch::TorchError;
use thiserror::Error;

/// A model that cannot be read, built or run.
#[derive(Debug, Error)]
pub enum ModelError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run was asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// The directory lacks a file that every model has.
    #[error("{} is not a model directory: it has no {file}{hint}", directory.display())]
    NotAModel {
        /// The directory.
        directory: PathBuf,
        /// The missing file.
        file: &'static str,
        /// What to do about it, or nothing.
        hint: String,
    },
    /// A model that was named as on the Hugging Face hub, or lies in its cache.
    #[error(transparent)]
    Hub(HubError),
    /// A file is not what its name says.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A model is not what it was when it was hashed.
    #[error("{} changed while it was in use: {what}; run the command again to use the new content", path.display())]
    Changed {
        /// The directory.
        path: PathBuf,
        /// What changed.
        what: String,
    },
    /// `model_type` is one that distill does not build.
    #[error("{}: model_type {found:?} is not supported; supported: {known}", path.display())]
    UnknownArchitecture {
        /// The `config.json`.
        path: PathBuf,
        /// Its `model_type`.
        found: String,
        /// Those that are known.
        known: String,
    },
    /// The config asks for something that is not built; it is refused, never approximated.
    #[error("{}: {field} = {value} is not supported; supported: {supported}", path.display())]
    Unsupported {
        /// The `config.json`.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        supported: String,
    },
    /// Weights and architecture do not fit.
    #[error("{}: weights do not fit the architecture: {problems}", path.display())]
    Weights {
        /// The weights' file or directory.
        path: PathBuf,
        /// Missing, extra and misshapen tensors.
        problems: String,
    },
    /// A masked language model was asked for, and the weights have no such head.
    #[error(
        "{} has no masked language model head (looked for {looked_for}); `replace` without `masked_model` uses word \
         embeddings and does not need one",
        directory.display()
    )]
    NoMaskedHead {
        /// The directory.
        directory: PathBuf,
        /// Names of weights, separated by commas.
        looked_for: String,
    },
    /// The label map is not usable.
    #[error("{}: {source}", path.display())]
    Labels {
        /// The `config.json`.
        path: PathBuf,
        /// Why not.
        source: LabelError,
    },
    /// Layers were chosen that the model does not have.
    #[error("layers {chosen:?} cannot be selected from a model with {available} layers (0 to {last}, without \
             duplicates)", last = available.saturating_sub(1))]
    Layers {
        /// The layers asked for.
        chosen: Vec<usize>,
        /// How many there are.
        available: usize,
    },
    /// A width was chosen that the model cannot be cut to.
    #[error(
        "hidden_size is {chosen}; a model with hidden size {available} can be reduced to a smaller multiple of \
         {step}, its head size"
    )]
    HiddenSize {
        /// The width asked for.
        chosen: i64,
        /// The model's own.
        available: i64,
        /// Size of a head.
        step: i64,
    },
    /// A width of word vectors that a model cannot have.
    #[error("embedding_size is {chosen}, but {why}")]
    EmbeddingSize {
        /// The width asked for.
        chosen: i64,
        /// What is possible.
        why: String,
    },
    /// libtorch refused.
    #[error(transparent)]
    Torch(#[from] TorchError),
}

impl From<HashError> for ModelError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::File(error) => error.into(),
            HashError::Stopped(reason) => reason.into(),
        }
    }
}

impl From<HubError> for ModelError {
    fn from(error: HubError) -> Self {
        match error {
            HubError::File(error) => error.into(),
            HubError::Stopped(reason) => reason.into(),
            other => ModelError::Hub(other),
        }
    }
}

impl ModelError {
    /// A malformed input is bad data; a choice of layers is usage; a failure of libtorch is internal.
    pub fn category(&self) -> Category {
        match self {
            ModelError::File(error) => error.category(),
            ModelError::Stopped(reason) => reason.category(),
            ModelError::Layers { .. }
            | ModelError::HiddenSize { .. }
            | ModelError::EmbeddingSize { .. }
            | ModelError::NotAModel { .. } => Category::Usage,
            ModelError::Hub(error) => error.category(),
            ModelError::Torch(_) => Category::Internal,
            _ => Category::Data,
        }
    }
}
