//! Regression: a model that gives a number.

use distill_task::score::mean_squared_error;
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
pub fn figures(values: &[f64], targets: &[f64]) -> Option<RegressionFigures> {
    if values.is_empty() || values.len() != targets.len() {
        return None;
    }
    let errors: Vec<f64> = targets.iter().zip(values).map(|(target, value)| target - value).collect();
    let mse = mean_squared_error(targets.iter().copied().zip(values.iter().copied()))?;
    Some(RegressionFigures {
        mse,
        rmse: mse.sqrt(),
        mae: mean(errors.iter().map(|error| error.abs())),
        max_error: errors.iter().map(|error| error.abs()).fold(0.0, f64::max),
        r2: explained(mse, variance(targets)),
        explained_variance: explained(variance(&errors), variance(targets)),
        pearson: correlation(values, targets),
        spearman: correlation(&ranks(values), &ranks(targets)),
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

/// How much each row moves Spearman's correlation, to first order: `[n]`, with mean 0. A row counts by its own ranks,
/// and by what it adds to the ranks of the rows above it.
///
/// Source: the influence function of the correlation (Devlin et al. 1975) of the shares of rows below, whose own
/// influence is that of an empirical distribution function.
pub fn spearman_influence(values: &[f64], targets: &[f64]) -> Vec<f64> {
    let (left, right) = (below(values), below(targets));
    let (covariance, variances) = (moments(&left, &right), [moments(&left, &left), moments(&right, &right)]);
    let spread = (variances[0] * variances[1]).sqrt();
    if spread == 0.0 {
        return vec![0.0; values.len()];
    }
    let (above_left, above_right) = (sums_above(values, &right), sums_above(targets, &left));
    let (own_left, own_right) = (sums_above(values, &left), sums_above(targets, &right));
    let count = values.len() as f64;
    let moved = |at: usize| {
        let (x, y) = (left[at] - 0.5, right[at] - 0.5);
        // Less what the shares are on average, so that each column has mean 0.
        let of_covariance = x * y - covariance + above_left[at] / count + above_right[at] / count;
        let of_left = x * x - variances[0] + 2.0 * own_left[at] / count;
        let of_right = y * y - variances[1] + 2.0 * own_right[at] / count;
        let share = of_left / variances[0] + of_right / variances[1];
        of_covariance / spread - covariance / spread * share / 2.0
    };
    let column: Vec<f64> = (0..values.len()).map(moved).collect();
    let centre = mean(column.iter().copied());
    column.into_iter().map(|value| value - centre).collect()
}

/// Share of the rows below each, those of the same value by half.
fn below(values: &[f64]) -> Vec<f64> {
    let count = values.len() as f64;
    ranks(values).into_iter().map(|rank| (rank - 0.5) / count).collect()
}

/// `Σ (x − ½)(y − ½) / n` of shares, whose mean is ½.
fn moments(left: &[f64], right: &[f64]) -> f64 {
    mean(left.iter().zip(right).map(|(x, y)| (x - 0.5) * (y - 0.5)))
}

/// For each row the sum of `shares − ½` over the rows of larger value, those of the same value by half.
fn sums_above(values: &[f64], shares: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|left, right| values[*right].total_cmp(&values[*left]));
    let mut sums = vec![0.0; values.len()];
    let mut above = 0.0;
    for tied in order.chunk_by(|left, right| values[*left] == values[*right]) {
        let own: f64 = tied.iter().map(|at| shares[*at] - 0.5).sum();
        tied.iter().for_each(|at| sums[*at] = above + own / 2.0);
        above += own;
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that is there twice moves the correlation as its influence says.
    #[test]
    fn the_influence_of_a_row_is_what_adding_it_does() {
        let values: Vec<f64> = (0..400).map(|row| f64::from(row * 37 % 101)).collect();
        let targets: Vec<f64> =
            values.iter().enumerate().map(|(row, value)| value + (row as f64 * 17.0) % 61.0).collect();
        let plain = correlation(&ranks(&values), &ranks(&targets)).unwrap();
        let influence = spearman_influence(&values, &targets);
        for row in [0, 57, 133, 399] {
            let (mut more, mut labels) = (values.clone(), targets.clone());
            more.push(values[row]);
            labels.push(targets[row]);
            let moved = correlation(&ranks(&more), &ranks(&labels)).unwrap() - plain;
            let expected = influence[row] / 401.0;
            assert!(
                (moved - expected).abs() < 2e-5 + 0.05 * expected.abs(),
                "row {row}: {moved}, not {expected}"
            );
        }
    }
}
