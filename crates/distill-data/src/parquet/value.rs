//! One value of a column, by what its logical type means.

use std::fmt;

use parquet::data_type::ByteArray;

/// One value of a flat column, or one element of a list.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string, or bytes without a logical type, not yet checked to be UTF-8.
    Bytes(ByteArray),
    /// A whole number, signed or unsigned.
    Integer(i64),
    /// A whole number that is too large for [`Value::Integer`].
    Unsigned(u64),
    /// FLOAT, DOUBLE or FLOAT16.
    Float(f64),
    /// A decimal.
    Decimal(Decimal),
    /// BOOLEAN.
    Bool(bool),
    /// The usual text form of a value that has one: a date, a time, a UUID.
    Text(String),
}

/// A decimal of at most 38 digits, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The number without its point.
    pub unscaled: i128,
    /// How many of its digits stand behind the point.
    pub scale: u32,
}

impl Decimal {
    /// From two's complement, the most significant byte first; none for more than 128 bits.
    pub(super) fn from_bytes(bytes: &[u8], scale: u32) -> Option<Self> {
        let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xff };
        let extra = bytes.len().saturating_sub(16);
        let (head, tail) = bytes.split_at(extra);
        let mut whole = [sign; 16];
        whole[16 - tail.len()..].copy_from_slice(tail);
        let unscaled = i128::from_be_bytes(whole);
        // What is cut off must repeat the sign.
        let repeats = head.iter().all(|byte| *byte == sign) && (extra == 0 || (unscaled < 0) == (sign != 0));
        repeats.then_some(Decimal { unscaled, scale })
    }

    /// The nearest number of 64 bits: that of the digits as they are written.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole number that it is; none where a digit behind the point is not 0.
    pub fn to_integer(self) -> Option<i128> {
        let unit = 10i128.checked_pow(self.scale)?;
        (self.unscaled % unit == 0).then_some(self.unscaled / unit)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.scale as usize;
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, rest) = digits.split_at(digits.len() - scale);
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let point = if rest.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{rest}")
    }
}

impl Value {
    /// The usual text form, as it would stand in a text file.
    ///
    /// # Errors
    /// Where bytes are not UTF-8, with the first that is not.
    pub fn to_text(&self) -> Result<String, String> {
        Ok(match self {
            Value::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
                Ok(text) => text.to_owned(),
                Err(error) => return Err(format!("not UTF-8 at byte {}", error.valid_up_to() + 1)),
            },
            Value::Integer(number) => number.to_string(),
            Value::Unsigned(number) => number.to_string(),
            Value::Float(number) => format!("{number:?}"),
            Value::Decimal(decimal) => decimal.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Text(text) => text.clone(),
        })
    }

    /// The number; none where it is no number.
    pub fn to_f64(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            Value::Unsigned(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Decimal(decimal) => Some(decimal.to_f64()),
            Value::Bytes(_) | Value::Bool(_) | Value::Text(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(unscaled: i128, scale: u32) -> Decimal {
        Decimal { unscaled, scale }
    }

    #[test]
    fn a_decimal_keeps_every_digit() {
        let shown = |unscaled, scale| decimal(unscaled, scale).to_string();
        assert_eq!([shown(15, 1), shown(-5, 3), shown(0, 2), shown(7, 0)], ["1.5", "-0.005", "0.00", "7"]);
        let widest = i128::pow(10, 38) - 1;
        assert_eq!(shown(-widest, 38), format!("-0.{}", "9".repeat(38)));
        assert_eq!((decimal(30, 1).to_integer(), decimal(-3, 1).to_integer()), (Some(3), None));
        assert_eq!(decimal(1, 1).to_f64(), 0.1);
    }

    #[test]
    fn bytes_of_any_length_are_the_same_decimal() {
        assert_eq!(Decimal::from_bytes(&[0xff, 0x85], 1), Some(decimal(-123, 1)));
        assert_eq!(Decimal::from_bytes(&[0x7f], 0), Some(decimal(127, 0)));
        let mut wide = [0xff; 20];
        wide[19] = 0x85;
        assert_eq!(Decimal::from_bytes(&wide, 1), Some(decimal(-123, 1)));
        wide[0] = 0x7f;
        assert_eq!(Decimal::from_bytes(&wide, 1), None, "more than 128 bits");
        wide = [0; 20];
        wide[4] = 0x80;
        assert_eq!(Decimal::from_bytes(&wide, 1), None, "the sign would change");
        assert_eq!(Decimal::from_bytes(&[], 1), None);
    }
}
