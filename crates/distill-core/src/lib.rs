//! The parts that all crates share, without libtorch and without file format libraries.
//!
//! Read in this order: [`category`] (what kind of failure, and the exit code it becomes), [`labels`] (the label map),
//! [`hash`], [`open`] (never writes through a link), [`atomic`] (atomic files), [`read`], [`lock`] (one writer per
//! directory), [`record`] (`run.json`), [`text`] (escaping of names from outside), [`calendar`] (dates), [`cpus`] (how many threads can compute
//! at once), [`stop`] and [`progress`] (how a long loop reports to its caller).

pub mod atomic;
pub mod calendar;
pub mod category;
pub mod cpus;
pub mod hash;
pub mod labels;
pub mod lock;
pub mod open;
pub mod progress;
pub mod read;
pub mod record;
pub mod stop;
pub mod text;
pub mod vocabulary;

pub use category::Category;
pub use labels::{LabelError, LabelMap};
pub use progress::{Progress, Silent};
pub use stop::{StopReason, StopSignal};
