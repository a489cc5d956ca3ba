//! Names and texts from outside, made harmless for each kind of document.

pub use distill_core::text::{html, json, lines, markdown, visible};
