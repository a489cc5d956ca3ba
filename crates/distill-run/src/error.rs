//! What can go wrong, and which kind of failure it is.

use std::error::Error;
use std::fmt;

use distill_core::atomic::FileError;
use distill_core::hash::HashError;
use distill_core::lock::LockError;
use distill_core::{Category, LabelError, StopReason, text};
use distill_data::tokens::train::TrainingError;
use distill_data::{CacheError, DataError, TokenError, batches::BatchError};
use distill_model::ModelError;
use distill_report::ReportError;
use distill_student::TrainError;
use distill_task::tags::SchemeError;
use distill_teacher::RunnerError;
use distill_torch::{DeviceError, TorchError};

/// What came of something, or what stopped it.
pub type Result<T, E = RunError> = std::result::Result<T, E>;

/// How something that did its work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Done,
    /// A quality gate failed.
    GateFailed,
}

/// What stopped a run: the kind of failure, what was being done or what is wrong, and the cause.
///
/// ```
/// use distill_core::{Category, StopReason};
/// use distill_run::error::{Context, RunError};
///
/// let stopped: Result<(), _> = Err(StopReason::TimeLimit);
/// let error = stopped.context("stage student").unwrap_err();
/// assert_eq!(error.category(), Category::Stopped);
/// assert_eq!(error.category().exit_code(), 75);
/// assert!(error.chain().starts_with("stage student: "));
/// assert_eq!(RunError::usage("epochs is 0").to_string(), "epochs is 0");
/// ```
pub struct RunError {
    category: Category,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RunError {
    /// A failure of this kind.
    pub fn of(category: Category, message: impl Into<String>) -> Self {
        RunError { category, message: message.into(), source: None }
    }

    /// Wrong usage or settings.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::of(Category::Usage, message)
    }

    /// Input that cannot be used.
    pub fn data(message: impl Into<String>) -> Self {
        Self::of(Category::Data, message)
    }

    /// A quality gate that failed before there was anything to report.
    pub fn gate(message: impl Into<String>) -> Self {
        Self::of(Category::Gate, message)
    }

    /// Output that cannot be made.
    pub fn cannot_create(message: impl Into<String>) -> Self {
        Self::of(Category::CannotCreate, message)
    }

    /// Another error, which is of this kind.
    pub fn caused_by(category: Category, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = error.into();
        RunError { category, message: source.to_string(), source: Some(source) }
    }

    /// The same error with what was being done before it.
    #[must_use]
    pub fn context(self, what: impl Into<String>) -> Self {
        RunError { category: self.category, message: what.into(), source: Some(Box::new(self)) }
    }

    /// Which kind of failure it is.
    pub fn category(&self) -> Category {
        self.category
    }

    /// The error and its causes, the outermost first.
    pub fn causes(&self) -> impl Iterator<Item = &(dyn Error + 'static)> {
        causes(self)
    }

    /// The error with its causes, each said once, in one line.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

impl fmt::Display for RunError {
    /// With `#`, as [`RunError::chain`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if f.alternate() { self.chain() } else { self.message.clone() })
    }
}

impl fmt::Debug for RunError {
    /// As [`RunError::chain`]: what a `main` that returns it prints, and a test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| -> &(dyn Error + 'static) { source })
    }
}

/// An error and its causes, the outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

/// An error with its causes, each said once, in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
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
    line = text::visible(&line);
    if text.chars().nth(SHOWN).is_some() {
        line.push('…');
    }
    line
}

/// Says of an error what was being done.
pub trait Context<T> {
    /// With this in front.
    ///
    /// # Errors
    /// The error that there was.
    fn context(self, what: impl Into<String>) -> Result<T>;

    /// As [`Context::context`], for words that are made only where there is an error.
    ///
    /// # Errors
    /// The error that there was.
    fn with_context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T>;
}

impl<T, E: Into<RunError>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.into().context(what))
    }

    fn with_context<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.into().context(what()))
    }
}

/// Errors that say themselves which kind they are.
macro_rules! from_errors {
    ($($kind:ty),+) => {
        $(impl From<$kind> for RunError {
            fn from(error: $kind) -> Self {
                RunError::caused_by(error.category(), error)
            }
        })+
    };
}

from_errors!(
    StopReason,
    DataError,
    TokenError,
    TrainingError,
    CacheError,
    BatchError,
    LabelError,
    ModelError,
    RunnerError,
    TrainError,
    ReportError,
    LockError,
    HashError,
    FileError,
    SchemeError
);

/// Errors that are always of one kind.
macro_rules! from_errors_of {
    ($($kind:ty => $category:ident),+) => {
        $(impl From<$kind> for RunError {
            fn from(error: $kind) -> Self {
                RunError::caused_by(Category::$category, error)
            }
        })+
    };
}

// Only a stream that results are shown on is written without a file's name. What is written as JSON is the run's own.
from_errors_of!(DeviceError => Usage, TorchError => Internal, std::io::Error => Io, serde_json::Error => Internal);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_does_not_hide_the_kind_of_an_error_and_each_cause_is_said_once() {
        let error = RunError::data("bad row").context("stage student");
        assert_eq!((error.category(), error.chain().as_str()), (Category::Data, "stage student: bad row"));
        assert_eq!(format!("{error} {error:#}"), "stage student stage student: bad row");
        assert_eq!(RunError::data("a\n\u{1b}[31mb").chain(), r"a \u{1b}[31mb");
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error =
            RunError::from(FileError::new("write", std::path::Path::new("a.json"), full)).context("saving");
        assert!(error.causes().any(|cause| cause.is::<FileError>()));
        assert_eq!(error.chain().matches("a.json").count(), 1, "{}", error.chain());
    }
}
