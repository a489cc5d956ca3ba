//! What a store holds, in figures.

use distill_core::StopSignal;
use serde::Serialize;

use super::fingerprint::Fingerprint;
use super::store::Store;
use crate::error::DataError;

/// Figures of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Rows of all shards.
    pub rows: u64,
    /// Rows with a label.
    pub labelled: u64,
    /// Rows without.
    pub unlabelled: u64,
    /// Labelled rows of each class, in the order of the label map. `[C]`
    pub label_counts: Vec<u64>,
    /// Share of the labelled rows whose largest logit is the label's; none without labelled rows.
    pub label_agreement: Option<f64>,
    /// Mean entropy of the softmax of the logits, in nats; none without rows.
    pub mean_entropy: Option<f64>,
    /// Bytes of all shards.
    pub bytes: u64,
    /// Number of shards.
    pub shards: usize,
    /// What the logits belong to.
    pub fingerprint: Fingerprint,
}

impl Store {
    /// Reads every row once and counts.
    ///
    /// # Errors
    /// Those of the rows; [`DataError::Stopped`].
    pub fn info(&self, stop: &StopSignal) -> Result<Info, DataError> {
        let manifest = self.manifest();
        let mut label_counts = vec![0; manifest.fingerprint.label_map.num_labels()];
        let (mut rows, mut labelled, mut agreed, mut entropies) = (0u64, 0u64, 0u64, 0.0);
        for row in self.rows() {
            let row = row?;
            if rows.is_multiple_of(1024) {
                stop.check()?;
            }
            rows += 1;
            entropies += entropy(&row.logits);
            if let Some(label) = row.label.and_then(|label| usize::try_from(label).ok()) {
                labelled += 1;
                agreed += u64::from(argmax(&row.logits) == Some(label));
                label_counts[label] += 1;
            }
        }
        Ok(Info {
            rows,
            labelled,
            unlabelled: rows - labelled,
            label_counts,
            label_agreement: (labelled > 0).then(|| agreed as f64 / labelled as f64),
            mean_entropy: (rows > 0).then(|| entropies / rows as f64),
            bytes: manifest.shards.iter().map(|shard| shard.file.bytes).sum(),
            shards: manifest.shards.len(),
            fingerprint: manifest.fingerprint.clone(),
        })
    }
}

/// The first of the largest logits, as PyTorch's `argmax` counts on a CPU.
fn argmax(logits: &[f32]) -> Option<usize> {
    let largest = logits.iter().copied().reduce(f32::max)?;
    logits.iter().position(|logit| *logit == largest)
}

/// `ln Σ exp(z) − Σ p·z`, with the largest logit taken off first.
fn entropy(logits: &[f32]) -> f64 {
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
}
