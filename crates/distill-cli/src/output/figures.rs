//! Numbers for people: rates, times, the clock, memory; and lines no wider than a terminal.

use std::time::{SystemTime, UNIX_EPOCH};

pub use distill_run::figures::seconds;

/// A rate, with decimals below 10: 0.4 steps a second must not be shown as 0.
pub fn rate(rate: f64) -> String {
    match rate {
        slow if slow < 10.0 => format!("{slow:.2}"),
        fast => grouped(fast.round() as u64),
    }
}

/// Thousands apart: `12,345`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Four digits after the point, and small numbers as powers of ten: `0.9123`, `4.1e-5`.
pub fn four_digits(number: f64) -> String {
    match number.abs() {
        size if size > 0.0 && size < 0.001 => format!("{number:.1e}"),
        size if size >= 1e6 => format!("{number:.3e}"),
        _ if number.fract() == 0.0 => format!("{number}"),
        _ => format!("{number:.4}"),
    }
}

/// The time of day in UTC: `19:38:05Z`.
pub fn clock(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Memory that this process holds, in bytes.
pub fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// The text in lines of at most `width` columns, broken between words; lines after the first are indented. A word that is
/// wider than a line, such as a path, stays whole.
pub fn fold(text: &str, width: usize) -> String {
    const INDENT: &str = "    ";
    let mut out = String::new();
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if columns(line) <= width {
            out.push_str(line);
            continue;
        }
        let (mut used, mut has_words) = (0, false);
        for word in line.split_inclusive(' ') {
            let needed = columns(word.trim_end_matches(' '));
            if has_words && used + needed > width {
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                out.push_str(INDENT);
                used = INDENT.len();
            }
            out.push_str(word);
            used += columns(word);
            has_words |= needed > 0;
        }
    }
    out
}

/// Columns on a terminal, without escape sequences for colours.
fn columns(text: &str) -> usize {
    console::measure_text_width(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn slow_rates_have_decimals_and_fast_ones_are_grouped() {
        let shown = [0.004, 0.4321, 9.99, 10.0, 312.4, 12_345.6].map(rate);
        assert_eq!(shown, ["0.00", "0.43", "9.99", "10", "312", "12,346"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn figures_have_four_digits() {
        let shown = [0.912_345, 3.0, 0.0, 4.123e-5, -0.5, 1.5e7].map(four_digits);
        assert_eq!(shown, ["0.9123", "3", "0", "4.1e-5", "-0.5000", "1.500e7"]);
        assert_eq!(clock(UNIX_EPOCH + Duration::from_secs(86_400 * 3 + 3_725)), "01:02:05Z");
        assert!(memory().unwrap() > 1 << 20);
        assert_eq!(seconds(Duration::from_secs(3_725)), "1 h 02 min");
    }

    #[test]
    fn lines_are_broken_between_words_and_indented() {
        assert_eq!(fold("one two three", 80), "one two three");
        assert_eq!(fold("one two three four", 10), "one two\n    three\n    four");
        assert_eq!(fold("see /a/very/long/path/indeed now", 12), "see\n    /a/very/long/path/indeed\n    now");
        // A colour takes no column; `─` takes one, and three bytes.
        assert_eq!(fold("\u{1b}[33mone\u{1b}[0m two", 7), "\u{1b}[33mone\u{1b}[0m two");
        assert_eq!(fold("── two", 6), "── two");
        assert_eq!(fold("first line\nsecond", 10), "first line\nsecond");
    }
}
