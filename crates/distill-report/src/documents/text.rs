//! Names and texts from outside, made harmless for each kind of document.

pub use distill_core::text::{html, json, lines, markdown, visible};

/// A text whose first letter is large.
pub fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
