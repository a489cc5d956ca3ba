//! What a model predicts, without libtorch and without reading files.
//!
//! [`tags`] has labels that are one tag per word, and the entities that they write.

pub mod tags;
