//! Numbers as people read them. ASCII only, so that they survive every terminal and log.

/// A figure: four digits after the point where they say something.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value == value.trunc() && magnitude < 1e6 {
        format!("{value}")
    } else if !(1e-4..1e6).contains(&magnitude) {
        format!("{value:.3e}")
    } else if magnitude >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.4}")
    }
}

/// A metric between 0 and 1, or another figure, with a fixed four digits so that columns line up.
pub fn metric(value: f64) -> String {
    format!("{value:.4}")
}

/// A share: `98.3 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A factor: `4.1x`.
pub fn times(factor: f64) -> String {
    if factor >= 100.0 { format!("{factor:.0}x") } else { format!("{factor:.1}x") }
}

/// A count with a unit prefix: `22.7M`.
pub fn count(value: u64) -> String {
    scaled(value as f64, &["", "k", "M", "G", "T"])
}

/// Bytes in decimal units: `90.9 MB`.
pub fn bytes(value: u64) -> String {
    scaled(value as f64, &[" B", " kB", " MB", " GB", " TB"])
}

/// A time in milliseconds: `8.3`, below one `0.42`.
pub fn milliseconds(value: f64) -> String {
    if value >= 1.0 { format!("{value:.1}") } else { format!("{value:.2}") }
}

/// A rate: three digits at least.
pub fn rate(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn scaled(value: f64, units: &[&str]) -> String {
    let mut value = value;
    let mut unit = 0;
    // 999.95 would print as 1000.0.
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{value}{}", units[0]) } else { format!("{value:.1}{}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_change_before_a_fourth_digit_appears() {
        assert_eq!(count(999), "999");
        assert_eq!(count(22_713_216), "22.7M");
        assert_eq!(count(999_960), "1.0M");
        assert_eq!(bytes(90_868_376), "90.9 MB");
    }

    #[test]
    fn numbers_keep_what_they_say() {
        assert_eq!(number(0.97), "0.9700");
        assert_eq!(number(20.0), "20");
        assert_eq!(number(0.000_012), "1.200e-5");
        assert_eq!(percent(0.98345), "98.3 %");
        assert_eq!(times(4.06), "4.1x");
    }
}
