//! What a store holds, in figures.

use distill_core::logits::argmax;
use distill_core::{ProblemType, StopSignal};
use serde::Serialize;

use super::fingerprint::Fingerprint;
use super::store::Store;
use crate::error::DataError;
use crate::source::Label;

/// Figures of a store.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Rows of all shards.
    pub rows: u64,
    /// Rows with a label.
    pub labelled: u64,
    /// Rows without.
    pub unlabelled: u64,
    /// Labelled rows of each class, in the order of the label map; empty where labels are numbers. `[C]`
    pub label_counts: Vec<u64>,
    /// Share of the labelled rows whose label the logits predict: the largest, or of several labels those above 0.
    /// None without labelled rows, and where labels are numbers.
    pub label_agreement: Option<f64>,
    /// Mean entropy of the softmax of the logits, or the sum of those of the sigmoids, in nats; none without rows, and
    /// where logits are values.
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
        let problem_type = manifest.fingerprint.problem_type;
        let is_value = problem_type == ProblemType::Regression;
        let classes = if is_value { 0 } else { manifest.fingerprint.label_map.num_labels() };
        let mut label_counts = vec![0; classes];
        let (mut rows, mut labelled, mut agreed, mut entropies) = (0u64, 0u64, 0u64, 0.0);
        for row in self.rows() {
            let row = row?;
            if rows.is_multiple_of(1024) {
                stop.check()?;
            }
            rows += 1;
            entropies += entropy_of(&row.logits, problem_type);
            if let Some(label) = &row.label {
                labelled += 1;
                agreed += u64::from(predicts(&row.logits, label));
                for class in label.classes().iter().filter_map(|class| usize::try_from(*class).ok()) {
                    label_counts[class] += 1;
                }
            }
        }
        Ok(Info {
            rows,
            labelled,
            unlabelled: rows - labelled,
            label_counts,
            label_agreement: (labelled > 0 && !is_value).then(|| agreed as f64 / labelled as f64),
            mean_entropy: (rows > 0 && !is_value).then(|| entropies / rows as f64),
            bytes: manifest.shards.iter().map(|shard| shard.file.bytes).sum(),
            shards: manifest.shards.len(),
            fingerprint: manifest.fingerprint.clone(),
        })
    }
}

/// Whether logits predict a label, which is never said of a number.
fn predicts(logits: &[f32], label: &Label<i32>) -> bool {
    let ids = |class: &i32| usize::try_from(*class).ok();
    match label {
        Label::Class(class) => !logits.is_empty() && Some(argmax(logits)) == ids(class),
        Label::Classes(classes) => {
            let predicted =
                logits.iter().enumerate().filter(|(_, logit)| **logit > 0.0).map(|(at, _)| Some(at));
            predicted.eq(classes.iter().map(ids))
        }
        Label::Value(_) => false,
    }
}

fn entropy_of(logits: &[f32], problem_type: ProblemType) -> f64 {
    match problem_type {
        ProblemType::SingleLabel => entropy(logits),
        // A sigmoid is the softmax beside a logit of 0.
        ProblemType::MultiLabel => logits.iter().map(|logit| entropy(&[*logit, 0.0])).sum(),
        ProblemType::Regression => 0.0,
    }
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
