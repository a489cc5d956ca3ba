//! The confusion matrix as a heat map: a row a label, shaded by the share of its rows; and the difference of two.

use super::{label, open, short};
use crate::documents::text;

/// Labels up to which the map is drawn.
pub const LABELS: usize = 60;
/// Labels up to which several maps stand side by side; more take the width of the page.
pub const SMALL_LABELS: usize = 8;
/// Labels up to which counts are written into the cells.
const COUNTED: usize = 25;
/// Width of the page.
const PAGE: f64 = 1080.0;

/// One cell as it is drawn.
struct Shown {
    /// How strongly it is shaded, 0 to 1.
    share: f64,
    is_good: bool,
    text: String,
    hint: String,
}

/// The chart; `counts` has a list a label, in it a count a prediction.
pub fn draw(title: &str, description: &str, names: &[String], counts: &[Vec<u64>]) -> String {
    map(title, description, names, &|label, predicted| {
        let (count, total) = (at(counts, label, predicted), total(counts, label));
        Shown {
            share: if total == 0 { 0.0 } else { count as f64 / total as f64 },
            is_good: label == predicted,
            text: count.to_string(),
            hint: format!("{} predicted as {}: {count} of {total}", names[label], names[predicted]),
        }
    })
}

/// By how many rows the counts of one model differ from those of another: in the colour of right answers where that is
/// better, in that of wrong ones where it is worse.
pub fn difference(
    title: &str,
    description: &str,
    names: &[String],
    counts: &[Vec<u64>],
    others: &[Vec<u64>],
) -> String {
    map(title, description, names, &|label, predicted| {
        let (own, other) = (at(counts, label, predicted), at(others, label, predicted));
        let (grown, total) = (own.cast_signed() - other.cast_signed(), total(counts, label));
        Shown {
            share: if total == 0 { 0.0 } else { (grown.unsigned_abs() as f64 / total as f64).min(1.0) },
            is_good: (grown > 0) == (label == predicted),
            text: format!("{grown:+}"),
            hint: format!("{} predicted as {}: {own}, by the teacher {other}", names[label], names[predicted]),
        }
    })
}

fn at(counts: &[Vec<u64>], label: usize, predicted: usize) -> u64 {
    counts.get(label).and_then(|row| row.get(predicted)).copied().unwrap_or(0)
}

fn total(counts: &[Vec<u64>], label: usize) -> u64 {
    counts.get(label).map_or(0, |row| row.iter().sum())
}

fn map(title: &str, description: &str, names: &[String], shown: &dyn Fn(usize, usize) -> Shown) -> String {
    let classes = names.len() as f64;
    let name_length = if names.len() <= SMALL_LABELS { 12 } else { 16 };
    let longest = names.iter().map(|name| name.chars().count().min(name_length)).max().unwrap_or(0) as f64;
    let left = 18.0 + 6.2 * longest;
    let cell =
        if names.len() <= SMALL_LABELS { 32.0 } else { ((PAGE - left - 8.0) / classes).clamp(12.0, 34.0) };
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
    for label_at in 0..names.len() {
        for predicted in 0..names.len() {
            let place =
                Cell { x: left + cell * predicted as f64, y: left + cell * label_at as f64, size: cell };
            out.push_str(&place.draw(&shown(label_at, predicted), names.len() <= COUNTED));
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
    fn draw(&self, shown: &Shown, has_text: bool) -> String {
        let Cell { x, y, size } = *self;
        let class = if shown.is_good { "right" } else { "wrong" };
        // Even one row has to be seen.
        let shade = if shown.share > 0.0 { 0.12 + 0.88 * shown.share } else { 0.0 };
        let side = size - 1.0;
        let mut out = format!(
            "<g><rect class=\"cell\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\"/>"
        );
        if shown.share > 0.0 {
            out.push_str(&format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{side:.1}\" \
                 fill-opacity=\"{shade:.2}\"><title>{}</title></rect>",
                text::html(&shown.hint)
            ));
            if has_text {
                let class = if shade > 0.55 { "on" } else { "off" };
                let (x, y) = (x + side / 2.0, y + side / 2.0 + 3.5);
                out.push_str(&format!(
                    "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
                    text::html(&shown.text)
                ));
            }
        }
        out.push_str("</g>");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_good_where_more_is_right_or_less_is_wrong() {
        let names = ["a".to_owned(), "b".to_owned()];
        let svg = difference("t", "d", &names, &[vec![8, 2], vec![1, 9]], &[vec![9, 1], vec![3, 7]]);
        let classes: Vec<&str> =
            svg.match_indices("<rect class=\"").map(|(at, _)| &svg[at + 13..at + 18]).collect();
        assert_eq!(classes, ["cell\"", "wrong", "cell\"", "wrong", "cell\"", "right", "cell\"", "right"]);
        for text in [">-1<", ">+1<", ">-2<", ">+2<"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }

    #[test]
    fn many_labels_use_the_width_of_the_page_and_never_more() {
        let width = |labels: usize| {
            let names: Vec<String> = (0..labels).map(|label| format!("label {label}")).collect();
            let svg = draw("t", "d", &names, &vec![vec![1; labels]; labels]);
            let box_of = svg.split("viewBox=\"0 0 ").nth(1).unwrap();
            box_of.split(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(width(8) < 360.0 && width(20) > 700.0, "{} {}", width(8), width(20));
        assert!(width(30) > 1000.0 && width(60) <= PAGE + 1.0, "{} {}", width(30), width(60));
    }
}
