//! What every part of distill shares, without libtorch and without a file format's library.
//!
//! Read in this order: [`category`] (what kind of failure, and the exit code it becomes),
//! [`labels`] (the label map), [`problem`] (what logits mean), [`logits`] (what they say), [`hash`], [`open`] (never through a link what is
//! written), [`atomic`] (files that appear whole or not at all), [`read`],
//! [`lock`] (one writer a directory), [`record`] (`run.json`), [`text`] (names from outside, made harmless), [`cpus`] (how many threads can compute at once), [`stop`] and [`progress`]
//! (how a long loop talks to whoever started it).

pub mod atomic;
pub mod category;
pub mod cpus;
pub mod hash;
pub mod labels;
pub mod lock;
pub mod logits;
pub mod open;
pub mod problem;
pub mod progress;
pub mod read;
pub mod record;
pub mod stop;
pub mod text;

pub use category::Category;
pub use labels::{LabelError, LabelMap};
pub use problem::{Label, ProblemType};
pub use progress::{Progress, Silent};
pub use stop::{StopReason, StopSignal};
