//! A point a row: its label across, the model's value up.

use super::frame::{Frame, HEIGHT, WIDTH};
use super::open;

/// The chart. Both axes have one range, so that the dashed line is where value and label are the same.
pub fn draw(title: &str, description: &str, color: usize, points: &[[f64; 2]]) -> String {
    let ends = points.iter().flat_map(|[label, value]| [[*label, *label], [*value, *value]]);
    let frame = Frame::around(ends, false);
    let frame = Frame { x: frame.y, ..frame };
    let mut out = open(WIDTH, HEIGHT, title, description);
    out.push_str(&frame.grid("label", "value"));
    let diagonal = [[frame.x[0], frame.x[0]], [frame.x[1], frame.x[1]]];
    out.push_str(&format!("<path class=\"ideal\" d=\"{}\"/>", frame.path(&diagonal)));
    let color = color % super::super::html::COLORS;
    for [label, value] in points {
        let (x, y) = (frame.place_x(*label), frame.place_y(*value));
        out.push_str(&format!("<circle class=\"mark m{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.8\"/>"));
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_point_also_where_all_are_the_same() {
        let svg = draw("t", "d", 7, &[[1.0, 2.0], [3.0, 2.5]]);
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(!draw("t", "d", 0, &[[0.0, 0.0]]).contains("NaN"));
    }
}
