//! What the rounds of the timing say about how sure a figure of it is.
//!
//! The range of five rounds is an interval of the median that needs no assumption about how times are distributed: it
//! misses the median only where all five rounds lie on one side of it, which happens in 2 of 32 cases.

use crate::predictions::{Latency, Round};
use crate::report::{Finding, FindingKind, ModelReport};

/// How far apart the rounds may lie before they disagree: the largest value divided by the smallest.
const STEADY: f64 = 1.25;

/// The smallest and the largest; none without a value.
pub fn range(values: &[f64]) -> Option<[f64; 2]> {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (!values.is_empty()).then_some([low, high])
}

/// Whether rounds with this range disagree.
pub fn disagree([low, high]: [f64; 2]) -> bool {
    high > STEADY * low
}

/// Of each round, what `of` says of it.
pub fn values(model: &ModelReport, of: impl Fn(&Round) -> f64) -> Vec<f64> {
    model.rounds.iter().map(of).collect()
}

/// Of each round, the model's rows a second divided by those of `other` in the same round.
pub fn speed_ups(model: &ModelReport, other: &ModelReport) -> Vec<f64> {
    let pairs = model.rounds.iter().zip(&other.rounds);
    pairs.map(|(own, its)| own.rows_per_second / its.rows_per_second).collect()
}

/// The median of the rounds, else the quotient of the two rates; none where they were not measured.
pub fn speed_up(model: &ModelReport, other: &ModelReport) -> Option<f64> {
    let rate = |model: &ModelReport| model.cost?.rows_per_second;
    median(speed_ups(model, other)).or_else(|| Some(rate(model)? / rate(other)?))
}

/// The middle value, of an even number the mean of the middle two.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some(f64::midpoint(values[low], values[high]))
}

/// A finding where the rounds of any model disagree.
pub fn unsteady(models: &[ModelReport]) -> Option<Finding> {
    let spread = |model: &ModelReport| {
        let range = range(&values(model, |round| round.rows_per_second))?;
        disagree(range).then_some((model.name.clone(), range))
    };
    let worst = models.iter().filter_map(spread);
    let (model, [low, high]) =
        worst.max_by(|left, right| (left.1[1] / left.1[0]).total_cmp(&(right.1[1] / right.1[0])))?;
    Some(Finding {
        kind: FindingKind::UnsteadyTiming,
        is_serious: false,
        data: None,
        text: format!(
            "the rounds of the timing disagree: {model} took from {low:.0} to {high:.0} rows a second, so the speeds and \
             latencies of this report are not sure"
        ),
        model,
        metric: None,
        value: Some(high / low),
        interval: None,
        advice: Some(
            "other programs used the machine: time the models again on a quiet one. Gates whose threshold lies between \
             the rounds are undecided"
                .to_owned(),
        ),
    })
}

/// What a figure of the latency is in a round.
pub fn latency(of: impl Fn(Latency) -> f64) -> impl Fn(&Round) -> f64 {
    move |round| of(round.latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_range_are_of_rounds() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!((median(Vec::new()), range(&[])), (None, None));
        assert_eq!(range(&[2.0, 5.0, 3.0]), Some([2.0, 5.0]));
        assert!(disagree([100.0, 126.0]) && !disagree([100.0, 124.0]));
    }
}
