//! Metrics of the probabilities row by row: log-loss, Brier score, top-k.

use super::name::Metric;
use super::scored::Scored;

/// Log-loss, Brier score and, where there are enough classes, top-k accuracy.
pub fn metrics(scored: &Scored) -> Vec<(Metric, f64)> {
    let mut metrics = Vec::new();
    if scored.is_empty() {
        return metrics;
    }
    for (metric, k) in [(Metric::Top3, 3), (Metric::Top5, 5)] {
        if scored.num_labels() > k {
            metrics.push((metric, mean(scored, |at| if is_in_top(scored, at, k) { 1.0 } else { 0.0 })));
        }
    }
    metrics.push((Metric::LogLoss, mean(scored, |at| row_log_loss(scored, at))));
    metrics.push((Metric::Brier, mean(scored, |at| row_brier(scored, at))));
    metrics
}

/// Negative log of the label's probability, which is clipped to `[ε, 1 − ε]` with f64's machine epsilon.
///
/// Source: `sklearn.metrics.log_loss`.
pub fn row_log_loss(scored: &Scored, at: usize) -> f64 {
    -scored.probability(at, scored.targets()[at]).clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

/// Squared distance of the probabilities from the label, halved with two classes.
///
/// Source: `sklearn.metrics.brier_score_loss` with `scale_by_half="auto"`.
pub fn row_brier(scored: &Scored, at: usize) -> f64 {
    let target = scored.targets()[at];
    let distance = |label| {
        let wanted = if label == target { 1.0 } else { 0.0 };
        (scored.probability(at, label) - wanted).powi(2)
    };
    let sum: f64 = (0..scored.num_labels()).map(distance).sum();
    if scored.num_labels() == 2 { sum / 2.0 } else { sum }
}

/// True where the label is among the `k` largest logits; of equal logits the higher id comes first.
///
/// Source: `sklearn.metrics.top_k_accuracy_score`, whose ties these are.
pub fn is_in_top(scored: &Scored, at: usize, k: usize) -> bool {
    let (logits, target) = (scored.logits(at), scored.targets()[at]);
    let own = logits[target];
    let before = |(label, logit): &(usize, &f32)| **logit > own || (**logit == own && *label > target);
    logits.iter().enumerate().filter(before).count() < k
}

fn mean(scored: &Scored, of: impl Fn(usize) -> f64) -> f64 {
    (0..scored.len()).map(of).sum::<f64>() / scored.len() as f64
}
