//! The validation part: what the best checkpoint is chosen by.

use distill_core::StopSignal;
use distill_data::cache::Example;
use distill_model::SequenceClassifier;
use distill_teacher::ForwardPass;
use distill_teacher::forward::argmax;
use tch::Tensor;

use crate::data::Part;
use crate::error::TrainError;
use crate::loss::{Objective, UNLABELLED};
use crate::settings::BestMetric;

/// Figures of one pass over the validation part.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Evaluation {
    /// Mean loss over rows, without dropout.
    pub loss: f64,
    /// Share of labelled rows predicted right; none without labels.
    pub accuracy: Option<f64>,
    /// Share of rows where student and teacher predict the same; none without a teacher.
    pub agreement: Option<f64>,
}

impl Evaluation {
    /// Whether this is better than `other` by the metric; equal accuracy is decided by the loss.
    pub fn is_better_than(&self, other: &Evaluation, metric: BestMetric) -> bool {
        match (metric, self.accuracy, other.accuracy) {
            (BestMetric::Accuracy, Some(own), Some(others)) if own != others => own > others,
            _ => self.loss < other.loss,
        }
    }
}

/// What a part is measured by.
pub struct Scoring<'a> {
    /// The run's loss.
    pub objective: &'a Objective<'a>,
    /// Its temperature: one for all epochs, so that they can be compared.
    pub temperature: f64,
}

/// Runs the model over a part.
///
/// # Errors
/// [`TrainError`] from the pass.
pub fn evaluate(
    model: &SequenceClassifier,
    part: &Part,
    scoring: &Scoring<'_>,
    batch_tokens: u64,
    stop: &StopSignal,
) -> Result<Evaluation, TrainError> {
    let examples: Vec<_> = part.iter().collect();
    let logits = ForwardPass { model, batch_tokens, stop }.logits(&examples, |_| ())?;
    scoring.score(&examples, &logits, model.config().labels.num_labels())
}

impl Scoring<'_> {
    /// The figures of logits, row-major `[N, C]`, of a part's examples.
    ///
    /// # Errors
    /// [`TrainError`] from the loss.
    pub fn score(
        &self,
        examples: &[Example<'_>],
        logits: &[f32],
        num_labels: usize,
    ) -> Result<Evaluation, TrainError> {
        let predicted: Vec<usize> = logits.chunks_exact(num_labels).map(argmax).collect();
        let has_teacher = examples.iter().all(|example| example.logits.len() == num_labels);

        let labelled = examples.iter().filter(|example| example.label.is_some()).count();
        let right =
            examples.iter().zip(&predicted).filter(|(example, id)| example.label == Some(**id as i32)).count();
        let agreed = examples
            .iter()
            .zip(&predicted)
            .filter(|(example, id)| argmax_or_none(example.logits) == Some(**id))
            .count();

        let shape = [examples.len() as i64, num_labels as i64];
        let student = Tensor::from_slice(logits).view(shape); // [N, C]
        let labels: Vec<i64> =
            examples.iter().map(|example| example.label.map_or(UNLABELLED, i64::from)).collect();
        let labels = Tensor::from_slice(&labels);
        // A validation file of its own has no soft targets: its loss is the hard one.
        let loss = if has_teacher {
            let soft: Vec<f32> = examples.iter().flat_map(|example| example.logits.iter().copied()).collect();
            let teacher = Tensor::from_slice(&soft).view(shape);
            self.objective.loss(&student, &labels, Some(&teacher), self.temperature)?
        } else {
            self.objective.hard(&student, &labels)?
        };
        Ok(Evaluation {
            loss: loss.double_value(&[]),
            accuracy: share(right, labelled),
            agreement: if has_teacher { share(agreed, examples.len()) } else { None },
        })
    }
}

fn argmax_or_none(logits: &[f32]) -> Option<usize> {
    if logits.is_empty() { None } else { Some(argmax(logits)) }
}

#[allow(clippy::cast_precision_loss)]
fn share(part: usize, whole: usize) -> Option<f64> {
    if whole == 0 { None } else { Some(part as f64 / whole as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_decides_and_the_loss_breaks_ties() {
        let make = |loss, accuracy| Evaluation { loss, accuracy, agreement: None };
        let metric = BestMetric::Accuracy;
        assert!(make(9.0, Some(0.9)).is_better_than(&make(0.1, Some(0.8)), metric));
        assert!(make(0.1, Some(0.9)).is_better_than(&make(0.2, Some(0.9)), metric));
        assert!(!make(0.2, Some(0.9)).is_better_than(&make(0.2, Some(0.9)), metric));
        assert!(make(0.1, None).is_better_than(&make(0.2, None), metric));
        assert!(make(0.1, Some(0.1)).is_better_than(&make(0.2, Some(0.9)), BestMetric::Loss));
    }
}
