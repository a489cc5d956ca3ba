//! Metrics of the order in which a class's probability puts the rows: ROC AUC, average precision,
//! and the curves behind them.
//!
//! With two classes the positive one is the second. With more, every class is ranked against the
//! rest; the averages run over the classes that have rows. scikit-learn's own multi-class averages
//! ask that every class has.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::name::Metric;
use super::scored::Scored;

/// ROC AUC and average precision, as far as they are defined.
pub fn metrics(scored: &Scored) -> Vec<(Metric, f64)> {
    let ranked: Vec<RankedClass> = positive_classes(scored)
        .into_par_iter()
        .filter_map(|label| {
            let ranking = Ranking::new(class_pairs(scored, label));
            Some(RankedClass {
                support: ranking.positives as f64,
                roc_auc: ranking.roc_auc()?,
                average_precision: ranking.average_precision(),
            })
        })
        .collect();
    if ranked.is_empty() {
        return Vec::new();
    }
    let count = ranked.len() as f64;
    let mut metrics = vec![(Metric::RocAuc, ranked.iter().map(|class| class.roc_auc).sum::<f64>() / count)];
    if scored.num_labels() > 2 {
        let supports: f64 = ranked.iter().map(|class| class.support).sum();
        let weighted: f64 = ranked.iter().map(|class| class.support * class.roc_auc).sum();
        metrics.push((Metric::RocAucWeighted, weighted / supports));
    }
    let precision = ranked.iter().map(|class| class.average_precision).sum::<f64>() / count;
    metrics.push((Metric::AveragePrecision, precision));
    metrics
}

/// ROC AUC and average precision of pairs of score and "is positive"; none unless there are both kinds.
pub fn rank(pairs: Vec<(f64, bool)>) -> Option<(f64, f64)> {
    let ranking = Ranking::new(pairs);
    Some((ranking.roc_auc()?, ranking.average_precision()))
}

struct RankedClass {
    support: f64,
    roc_auc: f64,
    average_precision: f64,
}

/// How much each labelled row moves ROC AUC (mean and weighted) and average precision: their
/// influence functions, `[n]` each, with mean 0. Empty where the metrics are undefined.
///
/// Source for ROC AUC: DeLong et al. 1988, whose structural components these are.
pub fn influences(scored: &Scored) -> Vec<(Metric, Vec<f64>)> {
    /// Classes whose influence values are in memory together.
    const TOGETHER: usize = 64;
    let supports = scored.supports();
    let has_both = |label: &usize| (1..scored.len()).contains(&supports[*label]);
    let classes: Vec<usize> = positive_classes(scored).into_iter().filter(has_both).collect();
    if classes.is_empty() {
        return Vec::new();
    }
    let count = classes.len() as f64;
    let none = vec![0.0; scored.len()];
    let (mut roc_auc, mut weighted, mut precision) = (none.clone(), none.clone(), none);
    let add = |sum: &mut [f64], part: &[f64], share: f64| {
        sum.iter_mut().zip(part).for_each(|(sum, value)| *sum += value / share);
    };
    for classes in classes.chunks(TOGETHER) {
        let found: Vec<ClassInfluence> =
            classes.par_iter().filter_map(|label| ClassInfluence::new(&class_pairs(scored, *label))).collect();
        // In the order of the classes, so that the sum does not depend on the number of threads.
        for class in found {
            add(&mut roc_auc, &class.roc_auc, count);
            add(&mut weighted, &class.weighted_roc_auc, 1.0);
            add(&mut precision, &class.average_precision, count);
        }
    }
    let mut influences = vec![(Metric::RocAuc, roc_auc)];
    if scored.num_labels() > 2 {
        influences.push((Metric::RocAucWeighted, weighted));
    }
    influences.push((Metric::AveragePrecision, precision));
    influences
}

/// Influence values of the means of ROC AUC and average precision over labels, `[n]` each: of pairs of score and "is
/// positive" a label, those left out that have one kind of row.
pub fn mean_influences(labels: impl Iterator<Item = Vec<(f64, bool)>>, rows: usize) -> (Vec<f64>, Vec<f64>) {
    let pairs: Vec<Vec<(f64, bool)>> = labels.collect();
    let labels: Vec<ClassInfluence> = pairs.par_iter().filter_map(|pairs| ClassInfluence::new(pairs)).collect();
    let count = labels.len().max(1) as f64;
    let mean = |of: &dyn Fn(&ClassInfluence, usize) -> f64| -> Vec<f64> {
        (0..rows).map(|at| labels.iter().map(|label| of(label, at)).sum::<f64>() / count).collect()
    };
    (mean(&|label, at| label.roc_auc[at]), mean(&|label, at| label.average_precision[at]))
}

/// The curves of pairs of score and "is positive"; none where there is only one kind.
pub fn curves_of(mut pairs: Vec<(f64, bool)>) -> Option<Curves> {
    let step = pairs.len().div_ceil(PAIRS).max(1);
    if step > 1 {
        pairs = pairs.into_iter().step_by(step).collect();
    }
    Ranking::new(pairs).curves()
}

struct ClassInfluence {
    roc_auc: Vec<f64>,
    weighted_roc_auc: Vec<f64>,
    average_precision: Vec<f64>,
}

impl ClassInfluence {
    fn new(pairs: &[(f64, bool)]) -> Option<Self> {
        let mut sorted: Vec<(f64, usize)> = pairs.iter().enumerate().map(|(at, pair)| (pair.0, at)).collect();
        sorted.sort_unstable_by(|left, right| right.0.total_cmp(&left.0));
        let ranking = Ranking::of_sorted(sorted.iter().map(|(score, at)| (*score, pairs[*at].1)));
        let (auc, ap) = (ranking.roc_auc()?, ranking.average_precision());
        let rows = pairs.len() as f64;
        let (positives, negatives) = (ranking.positives as f64, ranking.negatives as f64);
        let share = positives / rows;
        let mut out = ClassInfluence {
            roc_auc: vec![0.0; pairs.len()],
            weighted_roc_auc: vec![0.0; pairs.len()],
            average_precision: vec![0.0; pairs.len()],
        };
        // What lies at or below a score is all of it less what lies above.
        let (inverse_all, precision_all) = ranking.sums_over_positives();
        let (mut above, mut seen) = ((0.0, 0.0), 0);
        let (mut inverse_above, mut precision_above) = (0.0, 0.0);
        for (group_positives, group_negatives) in &ranking.groups {
            let group = (*group_positives as f64, *group_negatives as f64);
            let size = (group_positives + group_negatives) as usize;
            let at_or_above = (above.0 + group.0, above.0 + above.1 + group.0 + group.1);
            let precision = at_or_above.0 / at_or_above.1;
            for (_, at) in &sorted[seen..seen + size] {
                let is_positive = if pairs[*at].1 { 1.0 } else { 0.0 };
                let own = if pairs[*at].1 {
                    ((negatives - above.1 - group.1 / 2.0) / negatives - auc) / share
                } else {
                    ((above.0 + group.0 / 2.0) / positives - auc) / (1.0 - share)
                };
                out.roc_auc[*at] = own;
                out.weighted_roc_auc[*at] = share * own + (is_positive - share) * auc;
                let below = is_positive * (inverse_all - inverse_above) - (precision_all - precision_above);
                out.average_precision[*at] =
                    (is_positive * precision + below) / share - ap * is_positive / share;
            }
            inverse_above += group.0 / at_or_above.1;
            precision_above += group.0 * precision / at_or_above.1;
            above = (above.0 + group.0, above.1 + group.1);
            seen += size;
        }
        Some(out)
    }
}

/// A chart does not get better beyond so many pairs: of more rows every k-th is drawn.
const PAIRS: usize = 200_000;

/// ROC and precision-recall curve, thinned out to what a chart can show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Curves {
    /// Points `[false positive rate, true positive rate]`, from `[0, 0]` to `[1, 1]`.
    pub roc: Vec<[f64; 2]>,
    /// Points `[recall, precision]`, recall rising.
    pub precision_recall: Vec<[f64; 2]>,
}

/// The curves of the second class with two classes, else of all pairs of row and class together
/// (micro-averaged); none where there is only one kind of pair.
pub fn curves(scored: &Scored) -> Option<Curves> {
    let classes = positive_classes(scored);
    let step = (scored.len() * classes.len()).div_ceil(PAIRS).max(1);
    let of_row = |at: usize| {
        let pair = move |label: &usize| (scored.probability(at, *label), scored.targets()[at] == *label);
        classes.iter().map(pair)
    };
    Ranking::new((0..scored.len()).step_by(step).flat_map(of_row).collect()).curves()
}

fn positive_classes(scored: &Scored) -> Vec<usize> {
    if scored.num_labels() == 2 { vec![1] } else { (0..scored.num_labels()).collect() }
}

fn class_pairs(scored: &Scored, label: usize) -> Vec<(f64, bool)> {
    (0..scored.len()).map(|at| (scored.probability(at, label), scored.targets()[at] == label)).collect()
}

/// Rows by falling score; rows of equal score stand or fall together.
struct Ranking {
    /// Positives and negatives at each distinct score, the highest first.
    groups: Vec<(u64, u64)>,
    positives: u64,
    negatives: u64,
}

impl Ranking {
    fn new(mut pairs: Vec<(f64, bool)>) -> Self {
        pairs.sort_unstable_by(|left, right| right.0.total_cmp(&left.0));
        Self::of_sorted(pairs.into_iter())
    }

    fn of_sorted(pairs: impl Iterator<Item = (f64, bool)>) -> Self {
        let mut groups: Vec<(u64, u64)> = Vec::new();
        let mut last = None;
        for (score, is_positive) in pairs {
            if last != Some(score) {
                groups.push((0, 0));
                last = Some(score);
            }
            if let Some(group) = groups.last_mut() {
                group.0 += u64::from(is_positive);
                group.1 += u64::from(!is_positive);
            }
        }
        let positives = groups.iter().map(|group| group.0).sum();
        let negatives = groups.iter().map(|group| group.1).sum();
        Ranking { groups, positives, negatives }
    }

    /// Probability that a positive row scores above a negative one, ties counting half.
    fn roc_auc(&self) -> Option<f64> {
        if self.positives == 0 || self.negatives == 0 {
            return None;
        }
        let mut above = 0;
        let mut area = 0.0;
        for (positives, negatives) in &self.groups {
            area += *negatives as f64 * (above as f64 + *positives as f64 / 2.0);
            above += positives;
        }
        Some(area / (self.positives as f64 * self.negatives as f64))
    }

    /// `Σ (R_k − R_{k−1}) P_k`, without interpolation.
    fn average_precision(&self) -> f64 {
        let (mut found, mut seen, mut sum) = (0, 0, 0.0);
        for (positives, negatives) in &self.groups {
            found += positives;
            seen += positives + negatives;
            sum += *positives as f64 / self.positives as f64 * (found as f64 / seen as f64);
        }
        sum
    }

    /// Over the positives: Σ 1 / (rows at or above), Σ precision / (rows at or above).
    fn sums_over_positives(&self) -> (f64, f64) {
        let (mut found, mut seen) = (0, 0);
        self.groups.iter().fold((0.0, 0.0), |(inverse, precision), (positives, negatives)| {
            found += positives;
            seen += positives + negatives;
            let (at_or_above, own) = (seen as f64, *positives as f64);
            (inverse + own / at_or_above, precision + own * found as f64 / (at_or_above * at_or_above))
        })
    }

    fn curves(&self) -> Option<Curves> {
        if self.positives == 0 || self.negatives == 0 {
            return None;
        }
        let (mut roc, mut precision_recall) = (vec![[0.0, 0.0]], Vec::new());
        let (mut hits, mut false_alarms) = (0, 0);
        for (positives, negatives) in &self.groups {
            hits += positives;
            false_alarms += negatives;
            let recall = hits as f64 / self.positives as f64;
            roc.push([false_alarms as f64 / self.negatives as f64, recall]);
            precision_recall.push([recall, hits as f64 / (hits + false_alarms) as f64]);
        }
        Some(Curves { roc: thin(&roc), precision_recall: thin(&precision_recall) })
    }
}

/// Points at least a step apart along the curve, with both ends.
fn thin(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    const STEP: f64 = 0.01;
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let is_far =
            kept.last().is_none_or(|last| (point[0] - last[0]).abs() + (point[1] - last[1]).abs() >= STEP);
        if is_far || at + 1 == points.len() {
            kept.push(point.map(|value| (value * 1e4).round() / 1e4));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half() {
        let ranking = Ranking::new(vec![(0.9, true), (0.5, true), (0.5, false), (0.1, false)]);
        assert_eq!(ranking.roc_auc(), Some(0.875));
        assert!((ranking.average_precision() - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-15);
        assert_eq!(Ranking::new(vec![(0.9, true)]).roc_auc(), None);
    }

    #[test]
    fn a_curve_keeps_its_ends() {
        let pairs = (0..5000).map(|at| (f64::from(at), at % 3 == 0)).collect();
        let curves = Ranking::new(pairs).curves().unwrap();
        assert_eq!((curves.roc[0], curves.roc[curves.roc.len() - 1]), ([0.0, 0.0], [1.0, 1.0]));
        assert!(curves.roc.len() <= 202, "{}", curves.roc.len());
    }
}
