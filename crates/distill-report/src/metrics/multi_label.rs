//! Multi-label classification: every label is a yes or no of its own. A label is predicted where its
//! logit is above 0, a probability above one half.

use distill_task::score::counts;
use distill_task::tags::Counts;
pub use distill_task::tags::Shares;
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

/// All figures; none without rows or labels.
///
/// # Shapes
/// - `logits`, `targets`: `[N, C]` row-major
pub fn figures(logits: &[f32], targets: &[bool], num_labels: usize) -> Option<MultiLabelFigures> {
    if num_labels == 0 || logits.is_empty() || logits.len() != targets.len() {
        return None;
    }
    let (rows, pairs) = (logits.len() / num_labels, logits.len() as f64);
    let cells = || targets.iter().copied().zip(logits.iter().map(|logit| *logit > 0.0));
    let wrong = cells().filter(|(target, predicted)| target != predicted).count() as f64;
    let by_row: Vec<Counts> =
        logits.chunks_exact(num_labels).zip(targets.chunks_exact(num_labels)).map(row_counts).collect();
    let by_label: Vec<Counts> =
        (0..num_labels).map(|label| counts(cells().skip(label).step_by(num_labels))).collect();
    let whole = by_row.iter().filter(|row| row.correct == row.gold && row.correct == row.predicted).count();
    let loss = logits.iter().zip(targets).map(|(logit, target)| cell_log_loss(*logit, *target)).sum::<f64>();
    let ranked = ranked(logits, targets, num_labels);
    let mean = |of: fn(&(f64, f64)) -> f64| {
        (!ranked.is_empty()).then(|| ranked.iter().map(of).sum::<f64>() / ranked.len() as f64)
    };
    Some(MultiLabelFigures {
        subset_accuracy: whole as f64 / rows as f64,
        hamming_loss: wrong / pairs,
        log_loss: loss / pairs,
        micro: counts(cells()).shares(),
        macro_average: average(&by_label, |_| 1.0),
        weighted: average(&by_label, |counts| counts.gold as f64),
        samples: average(&by_row, |_| 1.0),
        roc_auc: mean(|ranks| ranks.0),
        average_precision: mean(|ranks| ranks.1),
    })
}

/// Shares of one row's labels, or one label's rows: pairs of predicted and so.
pub(crate) fn row_shares(cells: &[(bool, bool)]) -> Shares {
    counts(cells.iter().map(|(predicted, target)| (*target, *predicted))).shares()
}

fn row_counts((logits, targets): (&[f32], &[bool])) -> Counts {
    counts(targets.iter().copied().zip(logits.iter().map(|logit| *logit > 0.0)))
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
