//! Errors to exit codes.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use distill_core::{Category, LabelError, StopReason, atomic::FileError, hash::HashError, lock::LockError};
use distill_data::{CacheError, DataError, TokenError, batches::BatchError};
use distill_model::ModelError;
use distill_report::ReportError;
pub use distill_run::error::{RunError, Status};
use distill_student::TrainError;
use distill_teacher::RunnerError;
use distill_torch::{DeviceError, TorchError};

use crate::output::printer::complain;

/// Runs a command, prints what went wrong, and says the exit code.
pub fn run(command: impl FnOnce() -> anyhow::Result<Status>) -> ExitCode {
    // A panic is caught below and told in one line; where it was is for RUST_BACKTRACE users.
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        std::panic::set_hook(Box::new(|_| ()));
    }
    match catch_unwind(AssertUnwindSafe(command)) {
        Ok(Ok(Status::Done)) => ExitCode::SUCCESS,
        Ok(Ok(Status::GateFailed)) => ExitCode::from(1),
        Ok(Err(error)) if reader_left(&error) => {
            // As other tools end: by the signal, in silence.
            drop(signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGPIPE));
            ExitCode::from(Category::Io.exit_code())
        }
        Ok(Err(error)) => {
            complain(&format!("error: {}", chain(&error)));
            ExitCode::from(category(&error).exit_code())
        }
        Err(panic) => {
            complain(&format!(
                "internal error: {}\nThis is a bug in distill; RUST_BACKTRACE=1 shows where.",
                panic_text(panic.as_ref())
            ));
            ExitCode::from(Category::Internal.exit_code())
        }
    }
}

/// Whether whoever read stdout wants no more, such as `head`. What is said of a file is another matter.
fn reader_left(error: &anyhow::Error) -> bool {
    let closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    error.chain().any(closed) && !error.chain().any(|cause| cause.is::<FileError>())
}

/// The error with its causes, each said once, in one line.
pub fn chain(error: &anyhow::Error) -> String {
    distill_run::error::chain(error.as_ref())
}

/// The kind of the first error in the chain that has one: what a run met says it itself, the others are those of commands
/// that look at files and devices directly.
pub fn category(error: &anyhow::Error) -> Category {
    macro_rules! known {
        ($cause:expr; $($kind:ty),+) => {
            $(if let Some(error) = $cause.downcast_ref::<$kind>() { return error.category(); })+
        };
    }
    for cause in error.chain() {
        known!(cause; RunError, StopReason, DataError, TokenError, CacheError, BatchError, LabelError, ModelError, RunnerError,
            TrainError, ReportError, LockError, HashError, FileError);
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
    }
    Category::Internal
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn context_does_not_hide_the_kind_of_an_error() {
        let error = anyhow::Error::from(RunError::data("bad row")).context("stage student");
        assert_eq!(category(&error), Category::Data);
        assert_eq!(chain(&error), "stage student: bad row");
        assert_eq!(chain(&anyhow::Error::from(RunError::data("a\n\u{1b}[31mb"))), r"a \u{1b}[31mb");
        let stopped = Err::<(), _>(StopReason::Terminate).context("training").unwrap_err();
        assert_eq!(category(&stopped).exit_code(), 75);
        assert_eq!(category(&anyhow::anyhow!("unknown")).exit_code(), 70);
    }
}
