//! Student's t distribution, for the mean of a few seeds.

/// The `t` that a share `confidence` of the distribution with `freedom` degrees of freedom lies
/// within on both sides of 0; none without freedom.
pub fn quantile(freedom: usize, confidence: f64) -> Option<f64> {
    if freedom == 0 {
        return None;
    }
    // The share grows with the angle, from 0 at 0 to 1 at a right angle.
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if share(freedom, middle) < confidence { low = middle } else { high = middle }
    }
    Some(low.tan() * (freedom as f64).sqrt())
}

/// Share of the distribution within `±tan(angle) · √freedom`.
///
/// Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
fn share(freedom: usize, angle: f64) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    let is_odd = freedom % 2 == 1;
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut sum = if freedom == 1 { 0.0 } else { term };
    let mut at = if is_odd { 1 } else { 0 };
    while at + 4 <= freedom {
        term *= (at + 1) as f64 / (at + 2) as f64 * cosine * cosine;
        sum += term;
        at += 2;
    }
    if is_odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.t.ppf((1 + confidence) / 2, freedom)`.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, confidence, expected) in [
            (1, 0.95, 12.706_204_736),
            (2, 0.95, 4.302_652_730),
            (3, 0.95, 3.182_446_305),
            (4, 0.95, 2.776_445_105),
            (5, 0.99, 4.032_142_984),
            (9, 0.95, 2.262_157_163),
            (30, 0.9, 1.697_260_887),
        ] {
            let found = quantile(freedom, confidence).unwrap();
            assert!((found - expected).abs() < 1e-8, "{freedom}: {found}");
        }
        assert!(quantile(0, 0.95).is_none());
    }
}
