//! Numbers of gates with their units, read and written.

use super::quantity::Unit;
use crate::documents::format;

/// Reads a number with an optional unit and returns it with what stands after it.
pub fn take(text: &str, unit: Unit) -> Option<(f64, &str)> {
    let text = text.trim_start();
    // The longest beginning that is a number: `1e3M` is 1e3 and M.
    let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
    let (number, rest) = ends
        .take_while(|end| *end <= 40)
        .filter_map(|end| Some((text[..end].parse::<f64>().ok()?, &text[end..])))
        .filter(|(number, _)| number.is_finite())
        .last()?;
    let word = rest.split_whitespace().next().unwrap_or("");
    if let Some(scale) = scale(word, unit) {
        let after = rest.trim_start().get(word.len()..).unwrap_or("");
        return Some((number * scale, after));
    }
    // No unit: then a space or nothing has to follow.
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some((number, rest))
}

/// What a number with this suffix is multiplied with.
fn scale(suffix: &str, unit: Unit) -> Option<f64> {
    let known: &[(&str, f64)] = match unit {
        Unit::Share => &[("%", 0.01)],
        Unit::Factor => &[("x", 1.0), ("%", 0.01)],
        Unit::Time => &[("ms", 1.0), ("s", 1e3), ("us", 1e-3), ("µs", 1e-3)],
        Unit::Count => &[("k", 1e3), ("M", 1e6), ("G", 1e9)],
        Unit::Bytes => &[
            ("B", 1.0),
            ("kB", 1e3),
            ("MB", 1e6),
            ("GB", 1e9),
            ("KiB", 1024.0),
            ("MiB", 1_048_576.0),
            ("GiB", 1_073_741_824.0),
        ],
    };
    known.iter().find(|(name, _)| *name == suffix).map(|(_, scale)| *scale)
}

/// A value in its unit, for people.
pub fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format::number(value),
        Unit::Factor => format!("{value:.2}x"),
        Unit::Time => format!("{value:.2} ms"),
        Unit::Count => format::count(value.max(0.0) as u64),
        Unit::Bytes => format::bytes(value.max(0.0) as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_belong_to_quantities() {
        assert_eq!(take(" 20ms vs x", Unit::Time), Some((20.0, " vs x")));
        assert_eq!(take("0.02 s", Unit::Time), Some((20.0, "")));
        assert_eq!(take("98%", Unit::Share), Some((0.98, "")));
        assert_eq!(take("1e3k", Unit::Count), Some((1e6, "")));
        assert_eq!(take("64MiB", Unit::Bytes), Some((67_108_864.0, "")));
        assert_eq!(take("20ms", Unit::Share), None);
        assert_eq!(take("nan", Unit::Share), None);
        assert_eq!(take("", Unit::Share), None);
    }
}
