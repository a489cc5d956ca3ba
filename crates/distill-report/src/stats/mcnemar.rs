//! McNemar's exact test: do two models err on different rows?

use serde::{Deserialize, Serialize};

/// Rows that only one of two models gets right, and how likely so uneven a split is by chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct McNemar {
    /// Labelled rows that only the first model gets right.
    pub only_first: u64,
    /// Labelled rows that only the second model gets right.
    pub only_second: u64,
    /// Two-sided exact p-value.
    pub p_value: f64,
}

impl McNemar {
    /// The test for two counts of discordant rows.
    ///
    /// Source: `scipy.stats.binomtest(only_first, only_first + only_second)`.
    pub fn new(only_first: u64, only_second: u64) -> Self {
        let (fewer, all) = (only_first.min(only_second), only_first + only_second);
        // ln C(all, fewer) − all · ln 2, then downwards by C(n, k − 1) / C(n, k) = k / (n − k + 1).
        let ln_choose: f64 = (1..=fewer).map(|k| (((all - fewer + k) as f64) / k as f64).ln()).sum();
        let mut term = (ln_choose - all as f64 * std::f64::consts::LN_2).exp();
        let mut tail = 0.0;
        for k in (0..=fewer).rev() {
            tail += term;
            term *= k as f64 / (all - k + 1) as f64;
            if term < tail * 1e-18 {
                break;
            }
        }
        McNemar { only_first, only_second, p_value: (2.0 * tail).min(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_equal_scipy() {
        // scipy.stats.binomtest(b, b + c).pvalue
        for (first, second, expected) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021484375),
            (9, 1, 0.021484375),
            (12, 25, 0.04703102743951604),
            (0, 20, 1.9073486328125e-6),
            (480, 520, 0.2174482932041415),
        ] {
            let p_value = McNemar::new(first, second).p_value;
            assert!((p_value - expected).abs() < 1e-8, "{first} {second}: {p_value}");
        }
        assert!(McNemar::new(100_000, 200_000).p_value == 0.0);
    }
}
