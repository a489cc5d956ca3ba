//! What a model predicts, without libtorch and without reading files.
//!
//! Read in this order: [`label`] (what a row is labelled with), [`task`] (the questions that other crates ask), [`id`] (the handle that
//! they keep), a file for each task under [`tasks`], [`logits`] (from logits to classes and probabilities), [`metric`] (what epochs are
//! compared by), [`score`] (from labels and logits to figures). [`tags`] has labels that are one tag per word, and the entities that they write; [`answers`] has answers that are a
//! part of a text.
//!
//! No other crate compares tasks by name. Where it needs to know more, it asks for a property.

pub mod answers;
pub mod id;
pub mod label;
pub mod logits;
pub mod metric;
pub mod score;
pub mod tags;
pub mod task;
pub mod tasks;

pub use id::TaskId;
pub use label::{Label, LabelColumn, LabelShape, Span};
pub use metric::SelectionMetric;
pub use score::{Figures, Quality, Scored};
pub use task::{Activation, Positions, Setting, Task};
