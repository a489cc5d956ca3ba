//! Accuracy, precision, recall and F1 from the confusion counts, as scikit-learn computes them with
//! `zero_division=0` and its default `labels`: averages run over the classes that occur among the
//! labels or the predictions; a class that occurs in neither is listed but not averaged.

use serde::{Deserialize, Serialize};

use super::confusion::Confusion;
use super::name::Metric;

/// Figures of one class against the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

/// Figures of every class, in the order of the label map.
///
/// Source: `sklearn.metrics.precision_recall_fscore_support(average=None, zero_division=0)`.
pub fn class_figures(confusion: &Confusion, names: &[String]) -> Vec<ClassFigures> {
    (0..confusion.num_labels())
        .map(|label| {
            let (hits, support, predicted) =
                (confusion.at(label, label), confusion.support(label), confusion.predicted(label));
            ClassFigures {
                label: names.get(label).cloned().unwrap_or_default(),
                precision: ratio(hits, predicted),
                recall: ratio(hits, support),
                f1: ratio(2 * hits, support + predicted),
                support,
                predicted,
            }
        })
        .collect()
}

/// Every metric that follows from the confusion counts, in [`Metric`]'s order.
pub fn from_confusion(confusion: &Confusion) -> Vec<(Metric, f64)> {
    let classes = class_figures(confusion, &[]);
    let accuracy = ratio(confusion.correct(), confusion.total());
    let present: Vec<&ClassFigures> =
        classes.iter().filter(|class| class.support + class.predicted > 0).collect();
    let mean = |of: fn(&ClassFigures) -> f64| {
        if present.is_empty() {
            return 0.0;
        }
        present.iter().map(|class| of(class)).sum::<f64>() / present.len() as f64
    };
    let weighted = |of: fn(&ClassFigures) -> f64| {
        let sum: f64 = present.iter().map(|class| class.support as f64 * of(class)).sum();
        if confusion.total() == 0 { 0.0 } else { sum / confusion.total() as f64 }
    };
    let mut metrics = vec![
        (Metric::Accuracy, accuracy),
        (Metric::BalancedAccuracy, balanced_accuracy(&classes)),
        (Metric::MacroPrecision, mean(|class| class.precision)),
        (Metric::MacroRecall, mean(|class| class.recall)),
        (Metric::MacroF1, mean(|class| class.f1)),
        (Metric::MicroPrecision, accuracy),
        (Metric::MicroRecall, accuracy),
        (Metric::MicroF1, accuracy),
        (Metric::WeightedPrecision, weighted(|class| class.precision)),
        (Metric::WeightedRecall, weighted(|class| class.recall)),
        (Metric::WeightedF1, weighted(|class| class.f1)),
        (Metric::Mcc, mcc(confusion, &classes)),
    ];
    metrics.extend(cohen_kappa(confusion, &classes).map(|kappa| (Metric::CohenKappa, kappa)));
    metrics
}

/// Source: `sklearn.metrics.balanced_accuracy_score`, which leaves classes without rows out.
fn balanced_accuracy(classes: &[ClassFigures]) -> f64 {
    let recalls: Vec<f64> =
        classes.iter().filter(|class| class.support > 0).map(|class| class.recall).collect();
    if recalls.is_empty() { 0.0 } else { recalls.iter().sum::<f64>() / recalls.len() as f64 }
}

/// 0 where either side knows one class only. Source: `sklearn.metrics.matthews_corrcoef`; Gorodkin 2004.
fn mcc(confusion: &Confusion, classes: &[ClassFigures]) -> f64 {
    let total = confusion.total() as f64;
    let (both, supports, predictions) = sums_of_products(classes);
    let covariance = confusion.correct() as f64 * total - both;
    let variances = (total * total - predictions) * (total * total - supports);
    if variances == 0.0 { 0.0 } else { covariance / variances.sqrt() }
}

/// None where both sides know the same single class. Source: `sklearn.metrics.cohen_kappa_score`.
fn cohen_kappa(confusion: &Confusion, classes: &[ClassFigures]) -> Option<f64> {
    let total = confusion.total() as f64;
    let (both, ..) = sums_of_products(classes);
    let (expected_wrong, wrong) = (total - both / total, total - confusion.correct() as f64);
    (expected_wrong > 0.0).then(|| 1.0 - wrong / expected_wrong)
}

/// Over the classes: Σ support · predicted, Σ support², Σ predicted².
fn sums_of_products(classes: &[ClassFigures]) -> (f64, f64, f64) {
    classes.iter().fold((0.0, 0.0, 0.0), |(both, supports, predictions), class| {
        let (support, predicted) = (class.support as f64, class.predicted as f64);
        (both + support * predicted, supports + support * support, predictions + predicted * predicted)
    })
}

/// A share, 0 where the whole is empty.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(counts: &[u64], metric: Metric) -> f64 {
        let num_labels = counts.len().isqrt();
        let all = from_confusion(&Confusion::from_counts(counts.to_vec(), num_labels));
        all.iter().find(|(name, _)| *name == metric).unwrap().1
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
