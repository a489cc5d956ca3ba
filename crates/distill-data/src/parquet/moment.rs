//! Dates and times of day as ISO 8601 writes them.

use distill_core::calendar::date;

/// Units of a second that Parquet counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths.
    Millis,
    /// Millionths.
    Micros,
    /// Billionths.
    Nanos,
}

impl Unit {
    fn per_second(self) -> i64 {
        match self {
            Unit::Millis => 1_000,
            Unit::Micros => 1_000_000,
            Unit::Nanos => 1_000_000_000,
        }
    }

    fn digits(self) -> usize {
        match self {
            Unit::Millis => 3,
            Unit::Micros => 6,
            Unit::Nanos => 9,
        }
    }
}

const DAY: i64 = 86_400;

/// `09:30:00`, with a fraction of the unit's digits where it is not 0.
pub(super) fn time(since_midnight: i64, unit: Unit) -> String {
    let seconds = since_midnight.div_euclid(unit.per_second());
    let fraction = since_midnight.rem_euclid(unit.per_second());
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match fraction {
        0 => clock,
        _ => format!("{clock}.{fraction:0width$}", width = unit.digits()),
    }
}

/// `2024-01-31T09:30:00`, with a `Z` behind it where it is of UTC.
pub(super) fn timestamp(since_1970: i64, unit: Unit, utc: bool) -> String {
    let of_day = DAY * unit.per_second();
    at(since_1970.div_euclid(of_day), since_1970.rem_euclid(of_day), unit, utc)
}

/// The same of INT96: nanoseconds of a day, and a Julian day number.
pub(super) fn int96(data: &[u32]) -> String {
    const JULIAN_DAY_OF_1970: i64 = 2_440_588;
    let part = |at: usize| i64::from(data.get(at).copied().unwrap_or_default());
    let nanos = part(0) | ((part(1) & 0x7fff_ffff) << 32);
    at(part(2) - JULIAN_DAY_OF_1970, nanos, Unit::Nanos, false)
}

fn at(days: i64, of_day: i64, unit: Unit, utc: bool) -> String {
    format!("{}T{}{}", date(days), time(of_day, unit), if utc { "Z" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_fraction_only_where_there_is_one() {
        assert_eq!(time(34_200_000, Unit::Millis), "09:30:00");
        assert_eq!(time(34_200_000_001, Unit::Micros), "09:30:00.000001");
        assert_eq!(timestamp(-1, Unit::Millis, true), "1969-12-31T23:59:59.999Z");
        assert_eq!(timestamp(1_706_693_400_000_000_000, Unit::Nanos, false), "2024-01-31T09:30:00");
        assert_eq!(int96(&[0, 0, 2_440_589]), "1970-01-02T00:00:00");
        assert_eq!(timestamp(i64::MIN, Unit::Millis, false).chars().next(), Some('-'));
    }
}
