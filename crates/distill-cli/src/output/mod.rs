//! Results go to stdout, all else to stderr.

pub mod figures;
pub mod logging;
pub mod once;
pub mod printer;
pub mod progress;
mod text_lines;
pub mod timeline;
