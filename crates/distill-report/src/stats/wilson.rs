//! Wilson's interval for a share, which holds for small counts and at the ends of the range.

/// The interval of `hits / rows`, as `statsmodels.stats.proportion.proportion_confint(method="wilson")`.
pub fn wilson_interval(hits: u64, rows: u64, confidence: f64) -> [f64; 2] {
    let (n, p) = (rows as f64, hits as f64 / rows as f64);
    let z = normal_quantile(1.0 - (1.0 - confidence) / 2.0);
    let scale = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / scale;
    let half = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    [(centre - half).max(0.0), (centre + half).min(1.0)]
}

/// Quantile of the standard normal distribution for `0.5 <= share < 1`, to within 1.15e-9 relative.
///
/// Source: P. J. Acklam's rational approximation.
fn normal_quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 6] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 5] = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1.0];
    let polynomial = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    if share <= 0.97575 {
        let q = share - 0.5;
        polynomial(&A, q * q) * q / polynomial(&B, q * q)
    } else {
        let q = (-2.0 * (1.0 - share).ln()).sqrt();
        -polynomial(&C, q) / polynomial(&D, q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_intervals_equal_scipy() {
        // scipy.stats.norm.ppf; scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
        assert!((normal_quantile(0.975) - 1.959963984540054).abs() < 1e-8);
        assert!((normal_quantile(0.995) - 2.5758293035489004).abs() < 1e-8);
        let [low, high] = wilson_interval(9, 10, 0.95);
        assert!((low - 0.5958499732).abs() < 1e-8 && (high - 0.9821237869).abs() < 1e-8, "{low} {high}");
        assert_eq!(wilson_interval(5, 5, 0.95)[1], 1.0);
    }
}
