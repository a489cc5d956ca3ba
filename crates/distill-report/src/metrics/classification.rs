//! Accuracy, precision, recall and F1 from the counts, as scikit-learn computes them with
//! `zero_division=0` and its default `labels`: averages run over the classes that occur among the
//! labels or the predictions; a class that occurs in neither is listed but not averaged.

use distill_task::tags::{Counts, Shares};
use serde::{Deserialize, Serialize};

use super::confusion::Tally;
use super::name::Metric;

/// Shares of every class, `[C]`.
///
/// Source: `sklearn.metrics.precision_recall_fscore_support(average=None, zero_division=0)`.
pub fn class_shares(tally: &Tally) -> Vec<Shares> {
    let counts = tally.hits.iter().zip(&tally.supports).zip(&tally.predictions);
    counts
        .map(|((correct, gold), predicted)| {
            Counts { correct: *correct, gold: *gold, predicted: *predicted }.shares()
        })
        .collect()
}

/// Every metric that follows from the counts.
pub fn metrics(tally: &Tally) -> Vec<(Metric, f64)> {
    let shares = class_shares(tally);
    let occurs = |label: &usize| tally.supports[*label] + tally.predictions[*label] > 0;
    let present: Vec<usize> = (0..tally.num_labels()).filter(occurs).collect();
    let mean = |of: fn(&Shares) -> f64| {
        let sum: f64 = present.iter().map(|label| of(&shares[*label])).sum();
        if present.is_empty() { 0.0 } else { sum / present.len() as f64 }
    };
    let weighted = |of: fn(&Shares) -> f64| {
        let sum: f64 = present.iter().map(|label| tally.supports[*label] as f64 * of(&shares[*label])).sum();
        if tally.total == 0 { 0.0 } else { sum / tally.total as f64 }
    };
    let accuracy = ratio(tally.correct(), tally.total);
    let mut metrics = vec![
        (Metric::Accuracy, accuracy),
        (Metric::BalancedAccuracy, balanced_accuracy(tally, &shares)),
        (Metric::MacroPrecision, mean(|class| class.precision)),
        (Metric::MacroRecall, mean(|class| class.recall)),
        (Metric::MacroF1, mean(|class| class.f1)),
        (Metric::MicroPrecision, accuracy),
        (Metric::MicroRecall, accuracy),
        (Metric::MicroF1, accuracy),
        (Metric::WeightedPrecision, weighted(|class| class.precision)),
        (Metric::WeightedRecall, weighted(|class| class.recall)),
        (Metric::WeightedF1, weighted(|class| class.f1)),
        (Metric::Mcc, mcc(tally)),
    ];
    metrics.extend(cohen_kappa(tally).map(|kappa| (Metric::CohenKappa, kappa)));
    metrics
}

/// Source: `sklearn.metrics.balanced_accuracy_score`, which leaves classes without rows out.
fn balanced_accuracy(tally: &Tally, shares: &[Shares]) -> f64 {
    let with_rows = shares.iter().zip(&tally.supports).filter(|(_, support)| **support > 0);
    let (sum, count) = with_rows.fold((0.0, 0.0), |(sum, count), (class, _)| (sum + class.recall, count + 1.0));
    if count == 0.0 { 0.0 } else { sum / count }
}

/// 0 where either side knows one class only. Source: `sklearn.metrics.matthews_corrcoef`; Gorodkin 2004.
fn mcc(tally: &Tally) -> f64 {
    let total = tally.total as f64;
    let (both, supports, predictions) = sums_of_products(tally);
    let covariance = tally.correct() as f64 * total - both;
    let variances = (total * total - predictions) * (total * total - supports);
    if variances == 0.0 { 0.0 } else { covariance / variances.sqrt() }
}

/// None where both sides know the same single class. Source: `sklearn.metrics.cohen_kappa_score`.
fn cohen_kappa(tally: &Tally) -> Option<f64> {
    let total = tally.total as f64;
    let (both, ..) = sums_of_products(tally);
    let (expected_wrong, wrong) = (total - both / total, total - tally.correct() as f64);
    (expected_wrong > 0.0).then(|| 1.0 - wrong / expected_wrong)
}

/// Over the classes: Σ support · predicted, Σ support², Σ predicted².
fn sums_of_products(tally: &Tally) -> (f64, f64, f64) {
    tally.supports.iter().zip(&tally.predictions).fold(
        (0.0, 0.0, 0.0),
        |(both, supports, predictions), counts| {
            let (support, predicted) = (*counts.0 as f64, *counts.1 as f64);
            (both + support * predicted, supports + support * support, predictions + predicted * predicted)
        },
    )
}

/// A share, 0 where the whole is empty.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Figures of one class, as a report lists them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ClassFigures {
    /// The label's name.
    pub label: String,
    /// Share of the rows predicted as this class that are of it; 0 where none is.
    pub precision: f64,
    /// Share of the rows of this class that were found; 0 where there is none.
    pub recall: f64,
    /// Harmonic mean of the two; 0 where both are 0.
    pub f1: f64,
    /// Rows of this class.
    pub support: u64,
    /// Rows predicted as this class.
    pub predicted: u64,
    /// Confidence interval of the F1, low and high.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f1_interval: Option<[f64; 2]>,
}

/// Figures of every class, in the order of the label map, without intervals.
pub fn class_figures(tally: &Tally, names: &[String]) -> Vec<ClassFigures> {
    class_shares(tally)
        .into_iter()
        .zip(names)
        .enumerate()
        .map(|(label, (Shares { precision, recall, f1 }, name))| ClassFigures {
            label: name.clone(),
            precision,
            recall,
            f1,
            support: tally.supports[label],
            predicted: tally.predictions[label],
            f1_interval: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(counts: &[u64], metric: Metric) -> f64 {
        let num_labels = counts.len().isqrt();
        let mut tally = Tally::new(num_labels);
        counts.iter().enumerate().for_each(|(at, count)| tally.add(at / num_labels, at % num_labels, *count));
        metrics(&tally).iter().find(|(name, _)| *name == metric).unwrap().1
    }

    #[test]
    fn hand_computed_two_classes() {
        // precision 3/4 and 4/6, recall 3/5 and 4/5, F1 6/9 and 8/11
        let counts = [3, 2, 1, 4];
        assert_eq!(metric(&counts, Metric::Accuracy), 0.7);
        assert!((metric(&counts, Metric::MacroF1) - (6.0 / 9.0 + 8.0 / 11.0) / 2.0).abs() < 1e-15);
        assert!((metric(&counts, Metric::MacroPrecision) - (0.75 + 4.0 / 6.0) / 2.0).abs() < 1e-15);
    }

    #[test]
    fn a_class_that_occurs_nowhere_is_not_averaged_but_a_wrongly_predicted_one_is() {
        assert_eq!(metric(&[2, 0, 0, 0, 2, 0, 0, 0, 0], Metric::MacroF1), 1.0);
        assert!(
            (metric(&[2, 0, 1, 0, 2, 0, 0, 0, 0], Metric::MacroF1) - (0.8 + 1.0 + 0.0) / 3.0).abs() < 1e-15
        );
    }
}
