//! Axes: from values to places, with a grid.

use super::label;

/// Width of a chart that is not a table of its own.
pub const WIDTH: f64 = 360.0;
/// Its height.
pub const HEIGHT: f64 = 250.0;
/// Room for the values of the y axis.
pub const LEFT: f64 = 44.0;
/// Room behind the x axis.
pub const RIGHT: f64 = 10.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

/// The plotted range of both axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// Smallest and largest x.
    pub x: [f64; 2],
    /// Smallest and largest y.
    pub y: [f64; 2],
    /// True where x is drawn by its logarithm.
    pub is_log: bool,
}

impl Frame {
    /// Both axes from 0 to 1.
    pub fn unit() -> Self {
        Frame { x: [0.0, 1.0], y: [0.0, 1.0], is_log: false }
    }

    /// Room for all points, with a margin of 5 % above and below.
    pub fn around(points: impl Iterator<Item = [f64; 2]> + Clone, is_log: bool) -> Self {
        let range = |axis: usize| {
            let values = points.clone().map(move |point| point[axis]);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            let high = values.fold(f64::NEG_INFINITY, f64::max);
            if low < high {
                [low, high]
            } else {
                [low - 0.5 * low.abs().max(1e-3), low + 0.5 * low.abs().max(1e-3)]
            }
        };
        let (x, y) = (range(0), range(1));
        let margin = 0.05 * (y[1] - y[0]);
        Frame { x, y: [y[0] - margin, y[1] + margin], is_log }
    }

    /// Where an x lies.
    pub fn place_x(&self, x: f64) -> f64 {
        let scale = |value: f64| if self.is_log { value.max(1e-12).ln() } else { value };
        let share = (scale(x) - scale(self.x[0])) / (scale(self.x[1]) - scale(self.x[0]));
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Where a y lies.
    pub fn place_y(&self, y: f64) -> f64 {
        let share = (y - self.y[0]) / (self.y[1] - self.y[0]);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    /// Grid lines with their values, and the names of the axes.
    pub fn grid(&self, x_name: &str, y_name: &str) -> String {
        let mut out = String::new();
        let (left, right) = (LEFT, WIDTH - RIGHT);
        let (top, bottom) = (TOP, HEIGHT - BOTTOM);
        for value in ticks(self.y) {
            let y = self.place_y(value);
            out.push_str(&format!("<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>"));
            out.push_str(&label(left - 5.0, y + 3.5, "end", &tick(value)));
        }
        let across = if self.is_log { log_ticks(self.x) } else { ticks(self.x) };
        for value in across {
            let x = self.place_x(value);
            out.push_str(&format!("<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"));
            out.push_str(&label(x, bottom + 14.0, "middle", &tick(value)));
        }
        out.push_str(&label((left + right) / 2.0, HEIGHT - 6.0, "middle", x_name));
        if y_name.is_empty() {
            return out;
        }
        out.push_str(&format!(
            "<text transform=\"translate(10 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (top + bottom) / 2.0,
            crate::documents::text::html(y_name)
        ));
        out
    }

    /// A line through points.
    pub fn path(&self, points: &[[f64; 2]]) -> String {
        let steps = points.iter().enumerate().map(|(at, [x, y])| {
            let command = if at == 0 { 'M' } else { 'L' };
            format!("{command}{:.1} {:.1}", self.place_x(*x), self.place_y(*y))
        });
        steps.collect()
    }
}

/// At most six round values within a range.
fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let rough = (high - low) / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).take(12).map(|at| at as f64 * step).collect()
}

/// Powers of ten, or round values where a range holds fewer than two.
fn log_ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let powers = |factors: &[f64]| -> Vec<f64> {
        let exponents = low.max(1e-12).log10().floor() as i32..=high.max(1e-12).log10().ceil() as i32;
        exponents
            .flat_map(|exponent| factors.iter().map(move |factor| factor * 10f64.powi(exponent)))
            .filter(|value| *value >= low * 0.999 && *value <= high * 1.001)
            .collect()
    };
    let whole = powers(&[1.0]);
    let found = if whole.len() >= 2 { whole } else { powers(&[1.0, 2.0, 5.0]) };
    if found.len() >= 2 { found } else { ticks([low, high]) }
}

fn tick(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude >= 1e4 {
        return super::super::format::count(magnitude as u64);
    }
    if magnitude > 0.0 && magnitude < 1e-3 {
        return format!("{value:.1e}").replace(".0e", "e");
    }
    let text = if magnitude >= 100.0 { format!("{value:.0}") } else { format!("{value:.4}") };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            ticks([0.0, 1.0]).iter().map(|value| tick(*value)).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(ticks([0.81, 0.9]).len(), 5);
        assert_eq!([tick(5e-5), tick(2.5e-4), tick(0.002)], ["5e-5", "2.5e-4", "0.002"]);
        assert_eq!(log_ticks([30.0, 4000.0]), [100.0, 1000.0]);
        assert!(log_ticks([41.0, 43.0]).len() >= 2);
    }

    #[test]
    fn a_single_point_still_has_a_frame() {
        let frame = Frame::around([[100.0, 0.9]].into_iter(), true);
        assert!(frame.place_x(100.0).is_finite() && frame.place_y(0.9).is_finite());
    }
}
