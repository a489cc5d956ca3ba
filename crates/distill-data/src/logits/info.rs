//! What a store holds, in figures.

use distill_core::StopSignal;
use distill_task::logits::entropy;
use distill_task::{Activation, TaskId};
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
    /// Labelled rows of each class, in the order of the label map; empty where labels are numbers. `[C]`
    pub label_counts: Vec<u64>,
    /// Share of the labelled rows, or words, whose label the logits predict: the largest, or of several labels those above 0.
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
        let is_value = !problem_type.label_shape().has_classes();
        let outputs = problem_type.outputs(&manifest.fingerprint.label_map);
        let classes = if is_value { 0 } else { manifest.fingerprint.label_map.num_labels() };
        let mut label_counts = vec![0; classes];
        let (mut rows, mut labelled, mut agreed, mut predicted) = (0u64, 0u64, 0u64, 0u64);
        let (mut positions, mut entropies) = (0u64, 0.0);
        for row in self.rows() {
            let row = row?;
            if rows.is_multiple_of(1024) {
                stop.check()?;
            }
            rows += 1;
            for logits in row.logits.chunks_exact(outputs.max(1)) {
                positions += 1;
                entropies += entropy_of(logits, problem_type);
            }
            if let (Some(label), Some(at)) = (&row.label, row.label_at_positions()) {
                labelled += 1;
                let [right, of] = at.hits(&problem_type.decode(&row.logits, outputs));
                (agreed, predicted) = (agreed + right, predicted + of);
                for class in label.classes().filter_map(|class| usize::try_from(*class).ok()) {
                    label_counts[class] += 1;
                }
            }
        }
        Ok(Info {
            rows,
            labelled,
            unlabelled: rows - labelled,
            label_counts,
            label_agreement: (predicted > 0 && !is_value).then(|| agreed as f64 / predicted as f64),
            mean_entropy: (positions > 0 && !is_value).then(|| entropies / positions as f64),
            bytes: manifest.shards.iter().map(|shard| shard.file.bytes).sum(),
            shards: manifest.shards.len(),
            fingerprint: manifest.fingerprint.clone(),
        })
    }
}

fn entropy_of(logits: &[f32], problem_type: TaskId) -> f64 {
    match problem_type.activation() {
        Activation::Softmax => entropy(logits),
        // A sigmoid is the softmax next to a logit of 0.
        Activation::Sigmoid => logits.iter().map(|logit| entropy(&[*logit, 0.0])).sum(),
        Activation::Identity => 0.0,
    }
}
