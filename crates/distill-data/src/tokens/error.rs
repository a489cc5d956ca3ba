//! What can go wrong between a tokenizer's files and ids.

use std::path::PathBuf;

use distill_core::atomic::FileError;
use distill_core::{Category, StopReason};
use thiserror::Error;

/// A tokenizer that cannot be read or used.
#[derive(Debug, Error)]
pub enum TokenError {
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The run was asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// A directory without a tokenizer.
    #[error(
        "{} has no tokenizer: it has neither tokenizer.json nor vocab.txt, nor vocab.json with merges.txt{hint}",
        directory.display()
    )]
    Missing {
        /// The directory that was searched.
        directory: PathBuf,
        /// What to do about it, or nothing.
        hint: String,
    },
    /// A file that is not what its name says.
    #[error("{} is not a usable tokenizer file: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No room for a text next to the special tokens.
    #[error("max_length is {max_length}, but the special tokens of {} need {special}", if *pair { "a text pair" } else { "a text" })]
    MaxLength {
        /// The length that was asked for.
        max_length: usize,
        /// Special tokens a row has.
        special: usize,
        /// Whether the row is a pair.
        pair: bool,
    },
    /// A part of a vocabulary without room for what has to be kept.
    #[error(
        "vocabulary_size is {size}, but the special and added tokens and the characters of the texts need {needed}"
    )]
    TooSmall {
        /// The size that was asked for.
        size: usize,
        /// The smallest that is possible.
        needed: usize,
    },
    /// A tokenizer by which nothing can be masked.
    #[error(
        "the tokenizer has no mask token: tokenizer_config.json and special_tokens_map.json do not name one, and \
         the vocabulary has neither [MASK] nor <mask>"
    )]
    NoMask,
    /// A row that the tokenizer refuses.
    #[error("row {index} of the batch (counted from 0) cannot be tokenized: {reason}")]
    Encode {
        /// Position in the batch given to `encode_batch`, from 0.
        index: usize,
        /// The tokenizer's words.
        reason: String,
    },
}

impl TokenError {
    /// Missing files and settings are wrong usage, damaged ones bad data.
    pub fn category(&self) -> Category {
        match self {
            TokenError::File(error) => error.category(),
            TokenError::Stopped(reason) => reason.category(),
            TokenError::Missing { .. } | TokenError::MaxLength { .. } | TokenError::TooSmall { .. } => {
                Category::Usage
            }
            TokenError::Invalid { .. } | TokenError::NoMask | TokenError::Encode { .. } => Category::Data,
        }
    }
}
