//! Dates of days.

/// `2024-01-31` for a number of days since 1970-01-01, in the Gregorian calendar. Years of more or fewer than four digits
/// have a sign, as ISO 8601 has them.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
pub fn date(days: i64) -> String {
    // Whole days of 64 bits reach further than years of 64 bits: far ones are calculated in 128.
    let shifted = i128::from(days) + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    match (0..=9999).contains(&year) {
        true => format!("{year:04}-{month:02}-{day:02}"),
        false => format!("{year:+05}-{month:02}-{day:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates_on_both_sides_of_1970() {
        let days = [0, -1, 59, 19_753, 11_016, -719_528, -719_529, 2_932_897];
        let expected = [
            "1970-01-01",
            "1969-12-31",
            "1970-03-01",
            "2024-01-31",
            "2000-02-29",
            "0000-01-01",
            "-0001-12-31",
            "+10000-01-01",
        ];
        assert_eq!(days.map(date), expected);
        assert_eq!(date(i64::MIN), "-25252734927764585-06-07");
    }
}
