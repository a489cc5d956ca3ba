//! A value with its resampled values, and arithmetic on both at once.

use super::interval::percentile_interval;

/// A value on the rows themselves and, at the same place for every model, on each resample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The value on the rows.
    pub value: f64,
    /// The values on the resamples; empty where none were drawn.
    pub draws: Vec<f64>,
}

impl Sample {
    /// A function of two samples, resample by resample; none where it is not finite on the rows.
    pub fn with(&self, other: &Sample, of: impl Fn(f64, f64) -> f64) -> Option<Sample> {
        let value = of(self.value, other.value);
        let draws = self.draws.iter().zip(&other.draws).map(|(left, right)| of(*left, *right)).collect();
        value.is_finite().then_some(Sample { value, draws })
    }

    /// The percentile interval; none where nothing was drawn.
    pub fn interval(&self, confidence: f64) -> Option<[f64; 2]> {
        percentile_interval(self.draws.iter().copied(), confidence)
    }
}
