//! Percentile intervals.

/// The central `confidence` share of the drawn values; none without a finite one.
///
/// Percentiles interpolate linearly between neighbours, as `numpy.percentile` does.
pub fn percentile_interval(draws: impl IntoIterator<Item = f64>, confidence: f64) -> Option<[f64; 2]> {
    let mut values: Vec<f64> = draws.into_iter().filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return None;
    }
    let tail = (1.0 - confidence) / 2.0;
    Some([quantile(&mut values, tail), quantile(&mut values, 1.0 - tail)])
}

/// A quantile of values, which are reordered.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    let position = share * (values.len() - 1) as f64;
    let (below, fraction) = (position.floor() as usize, position.fract());
    let (_, low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let low = *low;
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    if fraction == 0.0 || above.is_empty() { low } else { low + fraction * (high - low) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_as_numpy_does() {
        // numpy.percentile([4, 1, 3, 2], [2.5, 97.5])
        let [low, high] = percentile_interval([4.0, 1.0, 3.0, f64::NAN, 2.0], 0.95).unwrap();
        assert!((low - 1.075).abs() < 1e-12 && (high - 3.925).abs() < 1e-12, "{low} {high}");
        assert_eq!(percentile_interval([], 0.95), None);
    }
}
