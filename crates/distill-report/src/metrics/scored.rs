//! The labelled rows of one model, or a part of them, with what every metric needs.
//!
//! `n` labelled rows, `C` labels.

use std::sync::OnceLock;

use distill_task::logits::argmax;

use super::against::log_sum_exp;
use super::calibration;
use super::confusion::Confusion;
use crate::predictions::Predictions;

/// Labelled rows with their predictions. Probabilities are computed from the logits on the way,
/// in f64, so that a large data set costs no second copy.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    predictions: &'a Predictions,
    rows: Vec<usize>,
    targets: Vec<usize>,
    predicted: Vec<usize>,
    log_sum_exp: Vec<f64>,
    temperature: OnceLock<f64>,
}

impl<'a> Scored<'a> {
    /// Every labelled row.
    pub fn new(predictions: &'a Predictions) -> Self {
        Self::of_rows(predictions, 0..predictions.rows())
    }

    /// The labelled ones among `rows`.
    pub fn of_rows(predictions: &'a Predictions, rows: impl IntoIterator<Item = usize>) -> Self {
        let (rows, targets): (Vec<usize>, Vec<usize>) =
            rows.into_iter().filter_map(|row| Some((row, predictions.target(row)?))).unzip();
        let predicted = rows.iter().map(|row| argmax(predictions.row(*row))).collect();
        let log_sum_exp = rows.iter().map(|row| log_sum_exp(predictions.row(*row))).collect();
        Scored { predictions, rows, targets, predicted, log_sum_exp, temperature: OnceLock::new() }
    }

    /// Number of labelled rows, `n`.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// True where no row has a label.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of labels, `C`.
    pub fn num_labels(&self) -> usize {
        self.predictions.num_labels()
    }

    /// Where the rows stand in the predictions, `[n]`.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// Labels, `[n]`.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// Predicted labels, `[n]`.
    pub fn predicted(&self) -> &[usize] {
        &self.predicted
    }

    /// Logits of one labelled row, `[C]`.
    pub fn logits(&self, at: usize) -> &[f32] {
        self.predictions.row(self.rows[at])
    }

    /// Probability of a label on one labelled row: softmax at temperature 1.
    pub fn probability(&self, at: usize, label: usize) -> f64 {
        (f64::from(self.logits(at)[label]) - self.log_sum_exp[at]).exp()
    }

    /// Probability of the predicted label.
    pub fn confidence(&self, at: usize) -> f64 {
        self.probability(at, self.predicted[at])
    }

    /// True where the prediction is the label.
    pub fn is_correct(&self, at: usize) -> bool {
        self.predicted[at] == self.targets[at]
    }

    /// The temperature that fits these rows best, found at the first call.
    pub fn temperature(&self) -> f64 {
        *self.temperature.get_or_init(|| calibration::temperature(self))
    }

    /// Counts of label against prediction.
    pub fn confusion(&self) -> Confusion {
        let pairs = self.targets.iter().copied().zip(self.predicted.iter().copied());
        Confusion::of_pairs(pairs, self.num_labels())
    }

    /// Rows of each label, `[C]`.
    pub fn supports(&self) -> Vec<usize> {
        let mut supports = vec![0; self.num_labels()];
        self.targets.iter().for_each(|target| supports[*target] += 1);
        supports
    }
}
