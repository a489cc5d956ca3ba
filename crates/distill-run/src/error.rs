//! What can go wrong, and which kind of failure it is.

use distill_core::{Category, LabelError, StopReason, atomic::FileError, hash::HashError, lock::LockError};
use distill_data::{CacheError, DataError, TokenError, batches::BatchError};
use distill_model::ModelError;
use distill_report::ReportError;
use distill_student::TrainError;
use distill_teacher::RunnerError;
use distill_torch::{DeviceError, TorchError};

/// How something that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Done,
    /// A quality gate failed.
    GateFailed,
}

/// An error that a run itself found, with the kind of failure it is.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    category: Category,
    message: String,
}

impl Failure {
    /// Wrong usage or settings.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure { category: Category::Usage, message: message.into() }
    }

    /// Input that cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Failure { category: Category::Data, message: message.into() }
    }

    /// A failure of this kind.
    pub fn of(category: Category, message: impl Into<String>) -> Self {
        Failure { category, message: message.into() }
    }

    /// A quality gate that failed before there was anything to report.
    pub fn gate(message: impl Into<String>) -> Self {
        Failure { category: Category::Gate, message: message.into() }
    }

    /// Output that cannot be made.
    pub fn cannot_create(message: impl Into<String>) -> Self {
        Failure { category: Category::CannotCreate, message: message.into() }
    }
}

/// The error with its causes, each said once.
pub fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.contains(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    one_line(&text)
}

/// What comes from a file may hold anything: line breaks, escape sequences, megabytes.
fn one_line(text: &str) -> String {
    const SHOWN: usize = 2_000;
    let mut line: String =
        text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c }).take(SHOWN).collect();
    line = distill_core::text::visible(&line);
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}

/// The kind of the first error in the chain that has one.
pub fn category(error: &anyhow::Error) -> Category {
    macro_rules! known {
        ($cause:expr; $($kind:ty),+) => {
            $(if let Some(error) = $cause.downcast_ref::<$kind>() { return error.category(); })+
        };
    }
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.category;
        }
        if cause.is::<DeviceError>() {
            return Category::Usage;
        }
        if cause.is::<TorchError>() {
            return Category::Internal;
        }
        // Only stdout is written without a file's name.
        if cause.is::<std::io::Error>() {
            return Category::Io;
        }
        known!(cause; StopReason, DataError, TokenError, CacheError, BatchError, LabelError, ModelError, RunnerError,
            TrainError, ReportError, LockError, HashError, FileError);
    }
    Category::Internal
}
