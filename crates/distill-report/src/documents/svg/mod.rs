//! Charts as SVG: each has a title and a description for those who do not see it, takes its colours
//! from the page's style (`.m0` is the first model), and is drawn for a width of 360 units, so that
//! its text can be read on a phone.

pub mod bars;
pub mod bins;
pub mod frame;
pub mod frontier;
pub mod heatmap;
pub mod lines;
pub mod scatter;

pub use frame::Frame;

use super::text;

/// Opens an image with its text alternative.
pub fn open(width: f64, height: f64, title: &str, description: &str) -> String {
    // What is wider than a phone scrolls there instead of shrinking until it cannot be read.
    let style = if width > 400.0 { format!(" style=\"min-width:{width:.0}px\"") } else { String::new() };
    format!(
        "<svg viewBox=\"0 0 {width:.0} {height:.0}\"{style} role=\"img\" preserveAspectRatio=\"xMidYMin meet\">\
         <title>{}</title><desc>{}</desc>",
        text::html(title),
        text::html(description)
    )
}

/// A label, `anchor` being `start`, `middle` or `end`.
pub fn label(x: f64, y: f64, anchor: &str, content: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", text::html(content))
}

/// A text of at most `length` characters; what is cut off is marked.
pub fn short(content: &str, length: usize) -> String {
    if content.chars().count() <= length {
        return content.to_owned();
    }
    content.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}
