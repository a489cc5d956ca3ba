//! A range that settings are drawn from.

use serde::Deserialize;
use toml::Value;

/// `{ low = 1e-5, high = 1e-3, log = true }`; between whole numbers, whole numbers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    low: Number,
    high: Number,
    #[serde(default)]
    log: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Number {
    fn real(self) -> f64 {
        match self {
            Number::Whole(value) => value as f64,
            Number::Real(value) => value,
        }
    }
}

impl Range {
    /// The range of a table.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(value: &Value) -> Result<Self, String> {
        let range: Range =
            value.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let (low, high) = (range.low.real(), range.high.real());
        let fits = low < high && low.is_finite() && high.is_finite() && (!range.log || low > 0.0);
        if fits { Ok(range) } else { Err("expected low < high, and low above 0 with log".to_owned()) }
    }

    /// The value at a share, from 0 to below 1, of the range.
    pub fn at(self, share: f64) -> Value {
        let between = |low: f64, high: f64| {
            if self.log { low * (high / low).powf(share) } else { low + (high - low) * share }
        };
        let (low, high) = (self.low.real(), self.high.real());
        match (self.low, self.high) {
            // Each integer has the part of the range up to the next one.
            (Number::Whole(least), Number::Whole(most)) => {
                Value::Integer((between(low, high + 1.0).floor() as i64).clamp(least, most))
            }
            _ => {
                // Three digits: what a person would have written.
                let value = between(low, high);
                Value::Float(format!("{value:.2e}").parse().unwrap_or(value).clamp(low, high))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> Result<Range, String> {
        Range::read(&toml::from_str::<toml::Table>(&format!("range = {text}")).unwrap()["range"])
    }

    #[test]
    fn ranges_of_integers_give_integers_with_equal_frequency() {
        let epochs = range("{ low = 1, high = 4 }").unwrap();
        let drawn: Vec<i64> = (0..8).map(|at| epochs.at(f64::from(at) / 8.0).as_integer().unwrap()).collect();
        assert_eq!(drawn, [1, 1, 2, 2, 3, 3, 4, 4]);
        let sizes = range("{ low = 8, high = 64, log = true }").unwrap();
        assert_eq!((sizes.at(0.0), sizes.at(0.999_999)), (8.into(), 64.into()));
        let rate = range("{ low = 1e-5, high = 1e-3, log = true }").unwrap();
        assert_eq!(rate.at(0.5), Value::Float(1e-4));
    }

    #[test]
    fn an_invalid_range_says_why() {
        for text in
            ["{ low = 2, high = 2 }", "{ low = 0.0, high = 1.0, log = true }", "{ low = nan, high = 1.0 }"]
        {
            assert!(range(text).unwrap_err().contains("low < high"), "{text}");
        }
        assert!(range("{ low = 1 }").unwrap_err().contains("high"));
    }
}
