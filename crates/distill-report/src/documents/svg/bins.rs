//! How many rows lie in each bin of a reliability diagram, under it: bins of few rows say little.

use super::frame::{LEFT, RIGHT, WIDTH};
use super::{label, open};
use crate::documents::text;
use crate::metrics::calibration::Bin;

const HEIGHT: f64 = 74.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 16.0;

/// The chart: by model its colour, its name and its bins.
pub fn draw(title: &str, description: &str, models: &[(usize, &str, &[Bin])]) -> String {
    let mut out = open(WIDTH, HEIGHT, title, description);
    let most = models.iter().flat_map(|(_, _, bins)| bins.iter()).map(|bin| bin.rows).max().unwrap_or(0);
    let count = models.iter().map(|(_, _, bins)| bins.len()).max().unwrap_or(0).max(1) as f64;
    let step = (WIDTH - LEFT - RIGHT) / count;
    let width = (step - 2.0) / models.len().max(1) as f64;
    let bottom = HEIGHT - BOTTOM;
    out.push_str(&format!("<path class=\"grid\" d=\"M{LEFT} {bottom}H{:.1}\"/>", WIDTH - RIGHT));
    out.push_str(&label(LEFT - 5.0, TOP + 4.0, "end", &most.to_string()));
    out.push_str(&label(LEFT - 5.0, bottom, "end", "0"));
    out.push_str(&label((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 3.0, "middle", "rows in each bin"));
    for (place, (color, name, bins)) in models.iter().enumerate() {
        for (at, bin) in bins.iter().enumerate().filter(|(_, bin)| bin.rows > 0) {
            // A bin of one row has to be seen.
            let height = ((bottom - TOP) * bin.rows as f64 / most as f64).max(1.0);
            let x = LEFT + step * at as f64 + 1.0 + width * place as f64;
            let (low, high) = (at as f64 / count, (at + 1) as f64 / count);
            let hint = format!(
                "{name}, confidence {low:.2} to {high:.2}: {} rows, {:.1} % right",
                bin.rows,
                100.0 * bin.accuracy
            );
            out.push_str(&format!(
                "<rect class=\"bar m{}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">\
                 <title>{}</title></rect>",
                color % super::super::html::COLORS,
                bottom - height,
                text::html(&hint)
            ));
        }
    }
    out.push_str("</svg>");
    out
}
