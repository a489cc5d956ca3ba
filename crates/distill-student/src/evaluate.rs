//! The validation part: what the best checkpoint is chosen by.

use distill_core::{LabelMap, StopSignal};
use distill_data::cache::Example;
use distill_model::Model;
use distill_task::{Figures, TaskId};
use distill_teacher::ForwardPass;
use tch::Tensor;

use crate::data::Part;
use crate::error::TrainError;
use crate::labels;
use crate::loss::Objective;
use crate::selection::Metric;

/// Figures of one pass over the validation part.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Evaluation {
    /// Mean loss over rows, without dropout.
    pub loss: f64,
    /// What the task measures; in a file, next to the loss.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Evaluation {
    /// Whether this is better than `other` by the metric; ties are broken by the loss.
    pub fn is_better_than(&self, other: &Evaluation, metric: Metric) -> bool {
        match (self.figure(metric), other.figure(metric)) {
            (Some(own), Some(others)) if own != others => (own > others) == metric.higher_is_better(),
            _ => self.loss < other.loss,
        }
    }

    /// The figures of logits, row-major `[N, C]`, of a part's examples; the loss is left at 0.
    pub fn without_loss(
        examples: &[Example<'_>],
        logits: &[f32],
        labels: &LabelMap,
        problem_type: TaskId,
    ) -> Self {
        let rows = labels::scored(examples, logits, labels.num_labels(), problem_type);
        Evaluation { loss: 0.0, figures: problem_type.figures(&rows, labels) }
    }

    /// What a metric says; none where nothing is labelled. Of tags that write no entities, [`Metric::EntityF1`] is the
    /// share of right tags.
    pub fn figure(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Loss => Some(self.loss),
            metric => self.figures.get(metric),
        }
    }

    /// The figures besides the loss, for people: `accuracy 0.9100`.
    pub fn words(&self) -> Option<String> {
        let figures = [
            ("accuracy", self.figures.accuracy),
            ("micro F1", self.figures.micro_f1),
            ("macro F1", self.figures.macro_f1),
            ("MSE", self.figures.mse),
            ("entity F1", self.figures.entity_f1),
            ("token accuracy", self.figures.token_accuracy),
            ("exact match", self.figures.exact_match),
            ("F1", self.figures.f1),
            ("perplexity", self.figures.perplexity),
        ];
        let figures = figures.into_iter().filter_map(|(name, value)| Some(format!("{name} {:.4}", value?)));
        Some(figures.collect::<Vec<_>>().join(", ")).filter(|words| !words.is_empty())
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
    model: &Model,
    part: &Part,
    scoring: &Scoring<'_>,
    batch_tokens: u64,
    stop: &StopSignal,
) -> Result<Evaluation, TrainError> {
    let examples: Vec<_> = part.iter().collect();
    let logits = ForwardPass { model, batch_tokens, stop }.logits(&examples, |_| ())?;
    scoring.score(&examples, &logits, &model.config().labels)
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
        labels: &LabelMap,
    ) -> Result<Evaluation, TrainError> {
        let problem_type = self.objective.problem_type();
        let num_labels = labels.num_labels();
        let has_teacher = labels::have_soft_targets(examples, num_labels);
        let figures = Evaluation::without_loss(examples, logits, labels, problem_type);

        let predictions: usize = examples.iter().map(Example::predictions).sum();
        let shape = [predictions as i64, num_labels as i64];
        let student = Tensor::from_slice(logits).view(shape); // [N, C]
        let labels = labels::tensor(examples.iter(), problem_type, num_labels);
        // A validation file has no soft targets: its loss is the hard loss.
        let loss = if has_teacher {
            let soft: Vec<f32> = examples.iter().flat_map(|example| example.logits.iter().copied()).collect();
            let teacher = Tensor::from_slice(&soft).view(shape);
            self.objective.loss(&student, &labels, Some(&teacher), self.temperature)?
        } else {
            self.objective.hard(&student, &labels)?
        };
        Ok(Evaluation { loss: loss.double_value(&[]), ..figures })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_decides_and_the_loss_breaks_ties() {
        let make = |loss, accuracy| Evaluation { loss, figures: Figures { accuracy, ..Figures::default() } };
        let metric = Metric::Accuracy;
        assert!(make(9.0, Some(0.9)).is_better_than(&make(0.1, Some(0.8)), metric));
        assert!(make(0.1, Some(0.9)).is_better_than(&make(0.2, Some(0.9)), metric));
        assert!(!make(0.2, Some(0.9)).is_better_than(&make(0.2, Some(0.9)), metric));
        assert!(make(0.1, None).is_better_than(&make(0.2, None), metric));
        assert!(make(0.1, Some(0.1)).is_better_than(&make(0.2, Some(0.9)), Metric::Loss));
    }

    /// Checkpoints and `run.json` hold it: a checkpoint of an earlier version is resumed from.
    #[test]
    fn its_figures_are_next_to_the_loss_in_json() {
        let json = r#"{"loss":0.5,"accuracy":0.75,"agreement":null,"macro_f1":0.625}"#;
        let figures = Figures { accuracy: Some(0.75), macro_f1: Some(0.625), ..Figures::default() };
        let evaluation = Evaluation { loss: 0.5, figures };
        assert_eq!(serde_json::to_string(&evaluation).unwrap(), json);
        assert_eq!(serde_json::from_str::<Evaluation>(json).unwrap(), evaluation);
    }
}
