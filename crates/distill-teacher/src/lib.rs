//! The runner: a model over rows, logits out, in the order of the rows.
//!
//! `distill teacher`, `distill predict` and the evaluation half of `distill report` are this one
//! path. Read in this order: [`forward`] (examples to logits), [`runner`] (a source to a sink), [`masked`] (masked tokens
//! to what may stand there), [`pieces`] (long rows
//! as windows), [`answers`] (logits of windows to a part of their text).

pub mod answers;
mod block;
pub mod error;
pub mod forward;
pub mod masked;
mod measured;
pub mod pieces;
pub mod runner;

pub use error::RunnerError;
pub use forward::ForwardPass;
pub use runner::{RunStats, Runner};
