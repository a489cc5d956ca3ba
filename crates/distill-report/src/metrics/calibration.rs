//! Whether a model is as sure as it is right: reliability bins, ECE, MCE, and the temperature that
//! would make it so.
//!
//! Source: Guo et al. 2017, arXiv:1706.04599; 15 bins of equal width over the confidence.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::name::Metric;
use super::scored::Scored;

/// Bins of equal width between 0 and 1.
pub const BINS: usize = 15;

/// Rows whose confidence lies in one interval `(k / 15, (k + 1) / 15]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// Rows in it.
    pub rows: u64,
    /// Their mean confidence, 0 without rows.
    pub confidence: f64,
    /// Share of them that are right, 0 without rows.
    pub accuracy: f64,
}

/// ECE, MCE and ECE after temperature scaling.
pub fn metrics(scored: &Scored) -> Vec<(Metric, f64)> {
    if scored.is_empty() {
        return Vec::new();
    }
    let plain = bins(scored, 1.0);
    let scaled = bins(scored, scored.temperature());
    vec![(Metric::Ece, ece(&plain)), (Metric::Mce, mce(&plain)), (Metric::EceScaled, ece(&scaled))]
}

/// The bin of a confidence.
pub fn bin_of(confidence: f64) -> usize {
    ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1
}

/// Reliability bins after the logits are divided by `temperature`: `[15]`.
pub fn bins(scored: &Scored, temperature: f64) -> Vec<Bin> {
    bins_of(scored, &confidences(scored, temperature))
}

/// Reliability bins of given confidences, `[n]`.
pub fn bins_of(scored: &Scored, confidences: &[f64]) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); BINS];
    for (at, confidence) in confidences.iter().enumerate() {
        let bin = &mut bins[bin_of(*confidence)];
        bin.rows += 1;
        bin.confidence += confidence;
        bin.accuracy += if scored.is_correct(at) { 1.0 } else { 0.0 };
    }
    for bin in bins.iter_mut().filter(|bin| bin.rows > 0) {
        bin.confidence /= bin.rows as f64;
        bin.accuracy /= bin.rows as f64;
    }
    bins
}

/// Probability of the predicted label after the logits are divided by `temperature`: `[n]`.
pub fn confidences(scored: &Scored, temperature: f64) -> Vec<f64> {
    (0..scored.len()).into_par_iter().map(|at| scaled_confidence(scored, at, temperature)).collect()
}

/// `Σ rows · |accuracy − confidence| / n`.
pub fn ece(bins: &[Bin]) -> f64 {
    let rows: u64 = bins.iter().map(|bin| bin.rows).sum();
    let gaps: f64 = bins.iter().map(|bin| bin.rows as f64 * (bin.accuracy - bin.confidence).abs()).sum();
    if rows == 0 { 0.0 } else { gaps / rows as f64 }
}

/// The largest `|accuracy − confidence|` of a bin with rows.
pub fn mce(bins: &[Bin]) -> f64 {
    bins.iter().filter(|bin| bin.rows > 0).map(|bin| (bin.accuracy - bin.confidence).abs()).fold(0.0, f64::max)
}

fn scaled_confidence(scored: &Scored, at: usize, temperature: f64) -> f64 {
    if temperature == 1.0 {
        return scored.confidence(at);
    }
    let logits = scored.logits(at);
    let largest = f64::from(logits[scored.predicted()[at]]);
    1.0 / logits.iter().map(|logit| ((f64::from(*logit) - largest) / temperature).exp()).sum::<f64>()
}

/// The temperature between 0.01 and 100 that minimizes the log-loss of these rows: above 1 the
/// model is too sure of itself, below 1 not sure enough.
pub fn temperature(scored: &Scored) -> f64 {
    const STEPS: usize = 100;
    // The log-loss is convex in 1 / T: Newton's method on its slope, halving where a step leaves the bracket.
    let (mut low, mut high, mut inverse) = (0.01, 100.0, 1.0);
    for _ in 0..STEPS {
        let (slope, curvature) = derivatives(scored, inverse);
        if slope < 0.0 {
            low = inverse
        } else {
            high = inverse
        }
        let newton = inverse - slope / curvature;
        let next = if newton > low && newton < high { newton } else { f64::sqrt(low * high) };
        let is_settled = (next - inverse).abs() <= 1e-13 * inverse;
        inverse = next;
        if is_settled {
            break;
        }
    }
    1.0 / inverse
}

/// First and second derivative of the summed log-loss in `inverse = 1 / T`:
/// `Σ (E_p[z] − z_y)` and `Σ Var_p[z]`.
fn derivatives(scored: &Scored, inverse: f64) -> (f64, f64) {
    const ROWS: usize = 4096;
    let add = |sum: (f64, f64), part: (f64, f64)| (sum.0 + part.0, sum.1 + part.1);
    // Fixed parts, added in order: the sum does not depend on the number of threads.
    let parts: Vec<(f64, f64)> = (0..scored.len().div_ceil(ROWS))
        .into_par_iter()
        .map(|part| {
            let rows = part * ROWS..((part + 1) * ROWS).min(scored.len());
            rows.map(|at| row_derivatives(scored, at, inverse)).fold((0.0, 0.0), add)
        })
        .collect();
    parts.into_iter().fold((0.0, 0.0), add)
}

fn row_derivatives(scored: &Scored, at: usize, inverse: f64) -> (f64, f64) {
    let logits = scored.logits(at);
    let largest = f64::from(logits[scored.predicted()[at]]);
    let (mut weights, mut first, mut second) = (0.0, 0.0, 0.0);
    for logit in logits {
        let below = f64::from(*logit) - largest;
        let weight = (below * inverse).exp();
        weights += weight;
        first += weight * below;
        second += weight * below * below;
    }
    let mean = first / weights;
    let target = f64::from(logits[scored.targets()[at]]) - largest;
    (mean - target, second / weights - mean * mean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predictions::Role;
    use crate::predictions::tests::make;

    #[test]
    fn a_confidence_on_a_border_belongs_to_the_bin_below() {
        assert_eq!((bin_of(0.0), bin_of(1.0), bin_of(1.0 / 15.0), bin_of(0.0667)), (0, 14, 0, 1));
    }

    #[test]
    fn the_temperature_of_a_model_sure_at_e4_and_right_in_three_of_four_brings_it_to_three_of_four() {
        // Three classes at (z, 0, 0): confidence e^z / (e^z + 2); 3/4 is reached at z / T = ln 6.
        let logits = [[4.0, 0.0, 0.0]; 4];
        let model = make("m", Role::Other, &[0, 0, 0, 1], &logits).unwrap();
        let scored = Scored::new(&model);
        let temperature = temperature(&scored);
        assert!((temperature - 4.0 / 6f64.ln()).abs() < 1e-9, "{temperature}");
        assert!(ece(&bins(&scored, temperature)) < 1e-9);
    }
}
