//! The Parquet library panics on some damaged files; here a panic becomes an error, silently.

use std::any::Any;
use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use distill_core::atomic::FileError;
use parquet::errors::ParquetError;

use crate::error::DataError;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

static HOOK: Once = Once::new();

/// Runs a call into the Parquet library; an error or a panic of it means that `file` is damaged.
///
/// What the call was working on must not be used again after an error: a panic may have left it in
/// any state.
pub(crate) fn guarded<T>(file: &Path, call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, DataError> {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                previous(info);
            }
        }));
    });
    let before = QUIET.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(call));
    QUIET.set(before);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(match refused(error) {
            Ok(source) => FileError::new("read", file, source).into(),
            Err(error) => DataError::damaged(file, one_line(&error.to_string())),
        }),
        Err(payload) => Err(DataError::damaged(file, one_line(&message(payload.as_ref())))),
    }
}

/// What the system said, where it was the system that failed: that is no damage.
fn refused(error: ParquetError) -> Result<io::Error, ParquetError> {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            // A seek to a place that cannot be is the file's fault.
            Ok(source) if source.raw_os_error().is_some() && source.kind() != io::ErrorKind::InvalidInput => {
                Ok(*source)
            }
            Ok(source) => Err(ParquetError::External(source)),
            Err(inner) => Err(ParquetError::External(inner)),
        },
        other => Err(other),
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    format!("the Parquet library gave up: {}", text.unwrap_or("no reason given"))
}

/// The first 200 characters of a message, without line breaks.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_that_names_the_file() {
        let error = guarded::<()>(Path::new("a.parquet"), || panic!("index\nout of range")).unwrap_err();
        assert_eq!(error.to_string(), "a.parquet is damaged: the Parquet library gave up: index out of range");
    }

    #[test]
    fn a_read_that_the_system_refuses_is_no_damage() {
        let read =
            |error| guarded::<()>(Path::new("a.parquet"), || Err(ParquetError::from(error))).unwrap_err();
        let refused = read(io::Error::from_raw_os_error(5));
        assert!(refused.to_string().starts_with("cannot read a.parquet: "), "{refused}");
        assert_eq!(refused.category(), distill_core::Category::Io);
        let early = read(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert_eq!(early.category(), distill_core::Category::Data);
    }
}
