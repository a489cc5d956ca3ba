//! Lines: reliability diagram, ROC, precision-recall, training curves.

use super::frame::{Frame, HEIGHT, WIDTH};
use super::open;

/// One model's line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Which colour and dash: the model's place in the report.
    pub color: usize,
    /// Points `[x, y]`, x rising.
    pub points: Vec<[f64; 2]>,
}

/// What is drawn besides the lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot<'a> {
    /// The title that screen readers announce.
    pub title: &'a str,
    /// What the chart shows, in words.
    pub description: &'a str,
    /// The name of the x axis.
    pub x: &'a str,
    /// The name of the y axis.
    pub y: &'a str,
    /// The axes; none: as far as the lines reach.
    pub frame: Option<Frame>,
    /// True for the line y = x.
    pub has_diagonal: bool,
    /// True for a mark at every point.
    pub has_marks: bool,
}

/// The chart.
pub fn draw(plot: &Plot, lines: &[Line]) -> String {
    let points = lines.iter().flat_map(|line| line.points.iter().copied());
    let frame = plot.frame.unwrap_or_else(|| Frame::around(points, false));
    let mut out = open(WIDTH, HEIGHT, plot.title, plot.description);
    out.push_str(&frame.grid(plot.x, plot.y));
    if plot.has_diagonal {
        out.push_str(&format!("<path class=\"ideal\" d=\"{}\"/>", frame.path(&[[0.0, 0.0], [1.0, 1.0]])));
    }
    for line in lines {
        let color = line.color % super::super::html::COLORS;
        out.push_str(&format!("<path class=\"line m{color}\" d=\"{}\"/>", frame.path(&line.points)));
        if plot.has_marks || line.points.len() == 1 {
            for [x, y] in &line.points {
                let (x, y) = (frame.place_x(*x), frame.place_y(*y));
                out.push_str(&format!(
                    "<circle class=\"mark m{color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\"/>"
                ));
            }
        }
    }
    out.push_str("</svg>");
    out
}
