//! What a model predicts, without libtorch and without reading files.
//!
//! [`tags`] has labels that are one tag per word, and the entities that they write; [`answers`] has answers that are a
//! part of a text.

pub mod answers;
pub mod tags;
