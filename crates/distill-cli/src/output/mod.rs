//! Results go to stdout, all else to stderr.

pub mod logging;
pub mod once;
pub mod printer;
pub mod progress;
pub mod timeline;
