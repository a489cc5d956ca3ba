//! What can stop a training run.

use distill_core::atomic::FileError;
use distill_core::{Category, LabelError, StopReason};
use distill_data::{CacheError, DataError, TokenError};
use distill_model::ModelError;
use distill_teacher::RunnerError;
use distill_torch::TorchError;
use std::borrow::Cow;
use thiserror::Error;

/// A training run that did not reach its end.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A setting that makes no sense.
    #[error("{field} is {value}, expected {expected}")]
    Setting {
        /// The setting's name.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be accepted.
        expected: Cow<'static, str>,
    },
    /// A loss that has nothing to say where there are only two labels.
    #[error("{setting} cannot be used with two labels: {why}")]
    TwoLabels {
        /// The setting with its value.
        setting: String,
        /// The reason.
        why: &'static str,
    },
    /// A loss inside the network that cannot be had between these two models.
    #[error("{0}")]
    Intermediate(String),
    /// The loss is infinite or not a number.
    #[error(
        "the loss is {loss} at step {global_step} (learning rate {learning_rate:.3e}, gradient norm {grad_norm}); a lower learning rate may help"
    )]
    NotFinite {
        /// The loss.
        loss: f64,
        /// The step, from 1.
        global_step: u64,
        /// The learning rate of the step.
        learning_rate: f64,
        /// Norm of the step's gradients.
        grad_norm: f64,
    },
    /// Nothing can be learned from these rows.
    #[error("{0}")]
    Rows(String),
    /// Asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// Rows that cannot be read.
    #[error(transparent)]
    Data(DataError),
    /// Texts that cannot be tokenized.
    #[error(transparent)]
    Tokens(TokenError),
    /// The token cache failed.
    #[error(transparent)]
    Cache(CacheError),
    /// A label map does not fit.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A model that cannot be built or saved.
    #[error(transparent)]
    Model(ModelError),
    /// Evaluation failed.
    #[error(transparent)]
    Runner(RunnerError),
    /// libtorch refused.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A stop is a stop wherever it was noticed: the trainer then saves a checkpoint.
macro_rules! or_stopped {
    ($($error:ident => $variant:ident),+) => {
        $(impl From<$error> for TrainError {
            fn from(error: $error) -> Self {
                match error {
                    $error::Stopped(reason) => TrainError::Stopped(reason),
                    other => TrainError::$variant(other),
                }
            }
        })+
    };
}

or_stopped!(DataError => Data, TokenError => Tokens, CacheError => Cache, ModelError => Model, RunnerError => Runner);

impl TrainError {
    /// What kind of failure it is.
    pub fn category(&self) -> Category {
        match self {
            TrainError::Setting { .. } | TrainError::TwoLabels { .. } | TrainError::Intermediate(_) => {
                Category::Usage
            }
            TrainError::NotFinite { .. } | TrainError::Torch(_) => Category::Internal,
            TrainError::Rows(_) => Category::Data,
            TrainError::Stopped(_) => Category::Stopped,
            TrainError::Data(error) => error.category(),
            TrainError::Tokens(error) => error.category(),
            TrainError::Cache(error) => error.category(),
            TrainError::Labels(error) => error.category(),
            TrainError::Model(error) => error.category(),
            TrainError::Runner(error) => error.category(),
            TrainError::File(error) => error.category(),
        }
    }
}
