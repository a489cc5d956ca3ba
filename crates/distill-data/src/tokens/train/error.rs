//! What can go wrong while a tokenizer is trained.

use distill_core::atomic::FileError;
use distill_core::{Category, StopReason};
use thiserror::Error;

/// A tokenizer that cannot be trained or written.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run was asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// A setting that has no meaning.
    #[error("{0}")]
    Setting(String),
    /// A vocabulary without room for what it cannot do without.
    #[error(
        "tokenizer.size is {size}, but the vocabulary needs at least {needed} tokens: {special} special tokens and \
         {alphabet} {characters} {advice}"
    )]
    TooSmall {
        /// The size that was asked for.
        size: usize,
        /// The smallest that is possible.
        needed: usize,
        /// Special tokens of the kind.
        special: usize,
        /// Tokens of one character.
        alphabet: usize,
        /// What those are.
        characters: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// Texts without a word.
    #[error("the texts have no words to train a tokenizer on")]
    NoWords,
    /// More text than the library counts.
    #[error(
        "the texts have more than {limit} characters, which the trainer cannot count; train on a part of them"
    )]
    TooMuch {
        /// The most.
        limit: u64,
    },
    /// What the library said.
    #[error("the tokenizer cannot be trained: {0}")]
    Library(String),
}

impl TrainingError {
    /// The kind of failure, which decides the exit code.
    pub fn category(&self) -> Category {
        match self {
            TrainingError::File(error) => error.category(),
            TrainingError::Stopped(reason) => reason.category(),
            TrainingError::Setting(_) | TrainingError::TooSmall { .. } => Category::Usage,
            TrainingError::NoWords | TrainingError::TooMuch { .. } => Category::Data,
            TrainingError::Library(_) => Category::Internal,
        }
    }
}
