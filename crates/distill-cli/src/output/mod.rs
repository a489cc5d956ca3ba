//! Results go to stdout, all else to stderr.

pub mod console;
pub mod figures;
pub mod logging;
pub mod printer;
pub mod progress;
mod text_lines;
pub mod timeline;
