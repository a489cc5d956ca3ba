//! Multi-label classification: every label is a yes or no of its own. A label is predicted where its
//! logit is above 0, a probability above one half.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::ranking::rank;

/// Figures of one multi-label model, as scikit-learn computes them with `zero_division=0`: averages
/// over labels run over all of them, whether they occur or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiLabelFigures {
    /// Share of rows whose labels are all right (`accuracy_score`).
    pub subset_accuracy: f64,
    /// Share of pairs of row and label that are wrong (`hamming_loss`).
    pub hamming_loss: f64,
    /// Mean negative log of the probability given to what is so, over all pairs, in nats.
    pub log_loss: f64,
    /// Over all pairs together.
    pub micro: Shares,
    /// Mean over the labels.
    #[serde(rename = "macro")]
    pub macro_average: Shares,
    /// Mean over the labels weighted by their rows.
    pub weighted: Shares,
    /// Mean over the rows.
    pub samples: Shares,
    /// Mean over the labels that some rows have and others have not; none without one.
    pub roc_auc: Option<f64>,
    /// Mean over the same labels.
    pub average_precision: Option<f64>,
}

/// Precision, recall and F1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shares {
    /// Share of what was predicted that is so; 0 where nothing was.
    pub precision: f64,
    /// Share of what is so that was predicted; 0 where nothing is.
    pub recall: f64,
    /// Harmonic mean of the two; 0 where both are 0.
    pub f1: f64,
}

/// Hits, labels that are so, labels that were predicted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    hits: u64,
    actual: u64,
    predicted: u64,
}

/// All figures; none without rows or labels.
///
/// # Shapes
/// - `logits`, `targets`: `[N, C]` row-major
pub fn figures(logits: &[f32], targets: &[bool], num_labels: usize) -> Option<MultiLabelFigures> {
    if num_labels == 0 || logits.is_empty() || logits.len() != targets.len() {
        return None;
    }
    let (rows, pairs) = (logits.len() / num_labels, logits.len() as f64);
    let cells = || logits.iter().map(|logit| *logit > 0.0).zip(targets.iter().copied());
    let wrong = cells().filter(|(predicted, target)| predicted != target).count() as f64;
    let by_row: Vec<Counts> =
        logits.chunks_exact(num_labels).zip(targets.chunks_exact(num_labels)).map(row_counts).collect();
    let by_label: Vec<Counts> =
        (0..num_labels).map(|label| Counts::of(cells().skip(label).step_by(num_labels))).collect();
    let whole = by_row.iter().filter(|row| row.hits == row.actual && row.hits == row.predicted).count();
    let loss = logits.iter().zip(targets).map(|(logit, target)| cell_log_loss(*logit, *target)).sum::<f64>();
    let ranked = ranked(logits, targets, num_labels);
    let mean = |of: fn(&(f64, f64)) -> f64| {
        (!ranked.is_empty()).then(|| ranked.iter().map(of).sum::<f64>() / ranked.len() as f64)
    };
    Some(MultiLabelFigures {
        subset_accuracy: whole as f64 / rows as f64,
        hamming_loss: wrong / pairs,
        log_loss: loss / pairs,
        micro: Counts::of(cells()).shares(),
        macro_average: average(&by_label, |_| 1.0),
        weighted: average(&by_label, |counts| counts.actual as f64),
        samples: average(&by_row, |_| 1.0),
        roc_auc: mean(|ranks| ranks.0),
        average_precision: mean(|ranks| ranks.1),
    })
}

/// Shares of one row's labels, or one label's rows: pairs of predicted and so.
pub(crate) fn row_shares(cells: &[(bool, bool)]) -> Shares {
    Counts::of(cells.iter().copied()).shares()
}

fn row_counts((logits, targets): (&[f32], &[bool])) -> Counts {
    Counts::of(logits.iter().map(|logit| *logit > 0.0).zip(targets.iter().copied()))
}

/// ROC AUC and average precision of every label that has both kinds of rows.
fn ranked(logits: &[f32], targets: &[bool], num_labels: usize) -> Vec<(f64, f64)> {
    let pairs = |label: usize| {
        let scores = logits.iter().skip(label).step_by(num_labels).map(|logit| f64::from(*logit));
        scores.zip(targets.iter().skip(label).step_by(num_labels).copied()).collect()
    };
    (0..num_labels).into_par_iter().filter_map(|label| rank(pairs(label))).collect()
}

/// `−ln p` of what is so, clipped as in [`super::probability::row_log_loss`].
pub(crate) fn cell_log_loss(logit: f32, target: bool) -> f64 {
    let signed = if target { -f64::from(logit) } else { f64::from(logit) };
    let probability = 1.0 / (1.0 + signed.exp());
    -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}

fn average(counts: &[Counts], weight: impl Fn(&Counts) -> f64) -> Shares {
    let mut total = 0.0;
    let mut sum = Shares::default();
    for counts in counts {
        let (shares, weight) = (counts.shares(), weight(counts));
        total += weight;
        sum.precision += weight * shares.precision;
        sum.recall += weight * shares.recall;
        sum.f1 += weight * shares.f1;
    }
    if total == 0.0 {
        return Shares::default();
    }
    Shares { precision: sum.precision / total, recall: sum.recall / total, f1: sum.f1 / total }
}

impl Counts {
    fn of(cells: impl Iterator<Item = (bool, bool)>) -> Self {
        cells.fold(Counts::default(), |counts, (predicted, target)| Counts {
            hits: counts.hits + u64::from(predicted && target),
            actual: counts.actual + u64::from(target),
            predicted: counts.predicted + u64::from(predicted),
        })
    }

    fn shares(self) -> Shares {
        let ratio = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        Shares {
            precision: ratio(self.hits, self.predicted),
            recall: ratio(self.hits, self.actual),
            f1: ratio(2 * self.hits, self.predicted + self.actual),
        }
    }
}
