//! Per-class bars, one a model, with their intervals.

use super::{label, open, short};

/// The bars of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The class's name.
    pub name: String,
    /// By model: value and interval.
    pub bars: Vec<(f64, Option<[f64; 2]>)>,
}

const WIDTH: f64 = 360.0;
const LEFT: f64 = 104.0;
const RIGHT: f64 = 34.0;
const BAR: f64 = 12.0;
const GAP: f64 = 8.0;

/// The chart; `colors` are the models' places in the report.
pub fn draw(title: &str, description: &str, groups: &[Group], colors: &[usize]) -> String {
    let step = GAP + BAR * colors.len() as f64;
    let height = 22.0 + step * groups.len() as f64;
    let place = |value: f64| LEFT + value.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
    let mut out = open(WIDTH, height, title, description);
    for value in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (x, bottom) = (place(value), height - 16.0);
        out.push_str(&format!("<path class=\"grid\" d=\"M{x:.1} 2V{bottom:.1}\"/>"));
        out.push_str(&label(x, height - 4.0, "middle", &format!("{value}")));
    }
    for (at, group) in groups.iter().enumerate() {
        let top = 4.0 + step * at as f64;
        out.push_str(&label(LEFT - 6.0, top + (step - GAP) / 2.0 + 4.0, "end", &short(&group.name, 16)));
        for (bar, (value, interval)) in group.bars.iter().enumerate() {
            let color = colors.get(bar).copied().unwrap_or(bar) % super::super::html::COLORS;
            let (y, width) = (top + BAR * bar as f64, place(*value) - LEFT);
            out.push_str(&format!(
                "<rect class=\"bar m{color}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
                BAR - 1.0
            ));
            if let Some([low, high]) = interval {
                let (low, high, middle) = (place(*low), place(*high), y + (BAR - 1.0) / 2.0);
                out.push_str(&format!("<path class=\"whisker\" d=\"M{low:.1} {middle:.1}H{high:.1}\"/>"));
            }
            out.push_str(&label(WIDTH - RIGHT + 4.0, y + 9.5, "start", &format!("{value:.2}")));
        }
    }
    out.push_str("</svg>");
    out
}
