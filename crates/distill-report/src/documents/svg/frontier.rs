//! Accuracy against cost: every model a point, and the line of those that no other beats in both.

use super::frame::{Frame, HEIGHT, WIDTH};
use super::{label, open, short};

/// Room that a name takes.
const NAME_HEIGHT: f64 = 13.0;

/// One model.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Its name.
    pub name: String,
    /// Its place in the report.
    pub color: usize,
    /// Rows a second.
    pub speed: f64,
    /// Accuracy and its interval.
    pub accuracy: (f64, Option<[f64; 2]>),
}

/// The models that no other is both as fast and as accurate as, by rising speed.
pub fn frontier(points: &[Point]) -> Vec<&Point> {
    let beats = |other: &Point, point: &Point| {
        other.speed >= point.speed
            && other.accuracy.0 >= point.accuracy.0
            && (other.speed > point.speed || other.accuracy.0 > point.accuracy.0)
    };
    let mut best: Vec<&Point> =
        points.iter().filter(|point| !points.iter().any(|other| beats(other, point))).collect();
    best.sort_by(|left, right| left.speed.total_cmp(&right.speed));
    best
}

/// The chart.
pub fn draw(title: &str, metric: &str, description: &str, points: &[Point]) -> String {
    let ends = points.iter().flat_map(|point| {
        let [low, high] = point.accuracy.1.unwrap_or([point.accuracy.0; 2]);
        [[point.speed / 1.25, low], [point.speed * 1.25, high]]
    });
    let frame = Frame::around(ends, true);
    let mut out = open(WIDTH, HEIGHT, title, description);
    out.push_str(&frame.grid("rows a second (log)", metric));
    let line: Vec<[f64; 2]> = frontier(points).iter().map(|point| [point.speed, point.accuracy.0]).collect();
    out.push_str(&format!("<path class=\"ideal\" d=\"{}\"/>", frame.path(&line)));
    let mut taken: Vec<f64> = Vec::new();
    for point in points {
        let color = point.color % super::super::html::COLORS;
        let (x, y) = (frame.place_x(point.speed), frame.place_y(point.accuracy.0));
        if let Some([low, high]) = point.accuracy.1 {
            let (low, high) = (frame.place_y(low), frame.place_y(high));
            out.push_str(&format!("<path class=\"line m{color}\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>"));
        }
        out.push_str(&format!("<circle class=\"mark m{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>"));
        let (anchor, side) = if x > WIDTH * 0.6 { ("end", -8.0) } else { ("start", 8.0) };
        // Names of models that lie close together stand one above the other.
        let mut height = y - 6.0;
        while taken.iter().any(|other| (other - height).abs() < NAME_HEIGHT) {
            height += NAME_HEIGHT;
        }
        taken.push(height);
        out.push_str(&label(x + side, height, anchor, &short(&point.name, 22)));
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beaten_model_is_not_on_the_frontier() {
        let point = |name: &str, speed, accuracy| Point {
            name: name.to_owned(),
            color: 0,
            speed,
            accuracy: (accuracy, None),
        };
        let points = [point("teacher", 10.0, 0.95), point("beaten", 20.0, 0.85), point("student", 40.0, 0.9)];
        let names: Vec<&str> = frontier(&points).iter().map(|point| point.name.as_str()).collect();
        assert_eq!(names, ["teacher", "student"]);
    }
}
