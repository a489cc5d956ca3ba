//! Regression: a model that gives a number.

use serde::{Deserialize, Serialize};

/// Figures of one regression model, as scikit-learn and scipy compute them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionFigures {
    /// Mean squared error.
    pub mse: f64,
    /// Its root.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Largest absolute error.
    pub max_error: f64,
    /// Share of the targets' variance that is explained; with constant targets 1 if all are met, else 0.
    pub r2: f64,
    /// The same without what a constant offset costs.
    pub explained_variance: f64,
    /// Pearson's correlation; none where either side is constant.
    pub pearson: Option<f64>,
    /// Spearman's correlation of the ranks, ties sharing their mean rank; none where either side is constant.
    pub spearman: Option<f64>,
}

/// All figures; none without rows.
///
/// # Shapes
/// - `values`, `targets`: `[N]`
pub fn figures(values: &[f32], targets: &[f32]) -> Option<RegressionFigures> {
    if values.is_empty() || values.len() != targets.len() {
        return None;
    }
    let to_f64 = |numbers: &[f32]| numbers.iter().map(|number| f64::from(*number)).collect::<Vec<_>>();
    let (values, targets) = (to_f64(values), to_f64(targets));
    let errors: Vec<f64> = targets.iter().zip(&values).map(|(target, value)| target - value).collect();
    let mse = mean(errors.iter().map(|error| error * error));
    Some(RegressionFigures {
        mse,
        rmse: mse.sqrt(),
        mae: mean(errors.iter().map(|error| error.abs())),
        max_error: errors.iter().map(|error| error.abs()).fold(0.0, f64::max),
        r2: explained(mse, variance(&targets)),
        explained_variance: explained(variance(&errors), variance(&targets)),
        pearson: correlation(&values, &targets),
        spearman: correlation(&ranks(&values), &ranks(&targets)),
    })
}

fn explained(left: f64, variance: f64) -> f64 {
    match (left == 0.0, variance == 0.0) {
        (true, true) => 1.0,
        (false, true) => 0.0,
        _ => 1.0 - left / variance,
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn variance(values: &[f64]) -> f64 {
    let centre = mean(values.iter().copied());
    mean(values.iter().map(|value| (value - centre).powi(2)))
}

fn correlation(left: &[f64], right: &[f64]) -> Option<f64> {
    let (centre_left, centre_right) = (mean(left.iter().copied()), mean(right.iter().copied()));
    let pairs = left.iter().zip(right);
    let covariance = mean(pairs.map(|(left, right)| (left - centre_left) * (right - centre_right)));
    let spread = (variance(left) * variance(right)).sqrt();
    (spread > 0.0).then(|| covariance / spread)
}

/// Ranks from 1, equal values sharing their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*left].total_cmp(&values[*right]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|left, right| values[*left] == values[*right]) {
        let shared = start as f64 + (tied.len() as f64 + 1.0) / 2.0;
        tied.iter().for_each(|at| ranks[*at] = shared);
        start += tied.len();
    }
    ranks
}
