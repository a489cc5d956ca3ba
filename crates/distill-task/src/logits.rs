//! From a row's logits to its class and probabilities at temperature 1, in f64.

/// Index of the largest logit, the first one of ties, as numpy's `argmax`; 0 for an empty slice.
pub fn argmax(logits: &[f32]) -> usize {
    let mut best = 0;
    for (at, logit) in logits.iter().enumerate().skip(1) {
        if *logit > logits[best] {
            best = at;
        }
    }
    best
}

/// The labels whose probability is above one half, in order: those with a logit above 0.
pub fn above_zero(logits: &[f32]) -> impl Iterator<Item = usize> {
    logits.iter().enumerate().filter(|(_, logit)| **logit > 0.0).map(|(at, _)| at)
}

/// `1 / (1 + e^−z)`: the probability of a label in multi-label classification.
pub fn sigmoid(logit: f32) -> f64 {
    1.0 / (1.0 + (-f64::from(logit)).exp())
}

/// `e^z / Σ e^z`, with the largest logit subtracted first, so that `exp` does not overflow.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| (f64::from(*logit) - f64::from(largest)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Entropy of the softmax in nats, `ln Σ exp(z) − Σ p·z`, with the largest logit taken off first.
pub fn entropy(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = || logits.iter().map(|logit| f64::from(*logit) - f64::from(largest));
    let sum: f64 = shifted().map(f64::exp).sum();
    sum.ln() - shifted().map(|logit| logit * logit.exp()).sum::<f64>() / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_is_in_nats_and_survives_large_logits() {
        assert!((entropy(&[1.0, 1.0, 1.0]) - 3f64.ln()).abs() < 1e-12);
        assert!(entropy(&[1e30, 0.0]).abs() < 1e-12);
        // p = (3/4, 1/4)
        let expected = 0.75 * (4f64 / 3.0).ln() + 0.25 * 4f64.ln();
        assert!((entropy(&[3f32.ln(), 0.0]) - expected).abs() < 1e-7);
    }

    #[test]
    fn ties_take_the_first() {
        assert_eq!(argmax(&[1.0, 3.0, 3.0, -1.0]), 1);
        assert_eq!(argmax(&[0.0, -0.0]), 0);
        assert_eq!(argmax(&[]), 0);
    }

    #[test]
    fn probabilities_survive_large_logits() {
        assert_eq!(softmax(&[1e30, 0.0]), [1.0, 0.0]);
        assert_eq!(softmax(&[1000.0, 1000.0]), [0.5, 0.5]);
        let thirds = softmax(&[2f32.ln(), 0.0]);
        assert!((thirds[0] - 2.0 / 3.0).abs() < 1e-7 && (thirds.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!([sigmoid(0.0), sigmoid(1e30), sigmoid(-1e30)], [0.5, 1.0, 0.0]);
    }
}
