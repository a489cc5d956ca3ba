//! The confusion matrix as a heat map: a row a label, shaded by the share of its rows.

use super::{label, open, short};
use crate::documents::text;

/// Labels up to which the map is drawn.
pub const LABELS: usize = 60;
/// Labels up to which counts are written into the cells.
const COUNTED: usize = 16;

/// The chart; `counts` has a list a label, in it a count a prediction.
pub fn draw(title: &str, description: &str, names: &[String], counts: &[Vec<u64>]) -> String {
    let classes = names.len() as f64;
    let cell = if names.len() <= 8 { 32.0 } else { (560.0 / classes).clamp(9.0, 28.0) };
    let name_length = if names.len() <= 8 { 12 } else { 14 };
    let longest = names.iter().map(|name| name.chars().count().min(name_length)).max().unwrap_or(0) as f64;
    let left = 18.0 + 6.2 * longest;
    let (width, height) = (left + cell * classes + 8.0, left + cell * classes + 8.0);
    let mut out = open(width.max(200.0), height, title, description);
    for (at, name) in names.iter().enumerate() {
        let middle = left + cell * (at as f64 + 0.5);
        let name = short(name, name_length);
        out.push_str(&label(left - 5.0, middle + 4.0, "end", &name));
        out.push_str(&format!(
            "<text transform=\"translate({:.1} {:.1}) rotate(-90)\">{}</text>",
            middle + 4.0,
            left - 5.0,
            text::html(&name)
        ));
    }
    for (label_at, row) in counts.iter().enumerate() {
        let total: u64 = row.iter().sum();
        for (predicted, count) in row.iter().enumerate() {
            let place =
                Cell { x: left + cell * predicted as f64, y: left + cell * label_at as f64, size: cell };
            let share = if total == 0 { 0.0 } else { *count as f64 / total as f64 };
            let shown = (names.len() <= COUNTED).then_some(*count);
            let hint = format!("{} predicted as {}: {count} of {total}", names[label_at], names[predicted]);
            out.push_str(&place.draw(share, label_at == predicted, shown, &hint));
        }
    }
    out.push_str("</svg>");
    out
}

struct Cell {
    x: f64,
    y: f64,
    size: f64,
}

impl Cell {
    fn draw(&self, share: f64, is_right: bool, shown: Option<u64>, hint: &str) -> String {
        let Cell { x, y, size } = *self;
        let class = if is_right { "right" } else { "wrong" };
        // Even one wrong row has to be seen.
        let shade = if share > 0.0 { 0.12 + 0.88 * share } else { 0.0 };
        let side = size - 1.0;
        let mut out = format!(
            "<g><rect class=\"cell\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\"/>"
        );
        if share > 0.0 {
            out.push_str(&format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" \
                 fill-opacity=\"{shade:.2}\"><title>{}</title></rect>",
                text::html(hint)
            ));
        }
        if let Some(count) = shown.filter(|count| *count > 0) {
            let class = if shade > 0.55 { "on" } else { "off" };
            let (x, y) = (x + side / 2.0, y + side / 2.0 + 3.5);
            out.push_str(&format!(
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{count}</text>"
            ));
        }
        out.push_str("</g>");
        out
    }
}
