//! How much each row moves a metric that does not follow from counts.
//!
//! A resample of the rows moves such a metric by the mean of its influence values over the
//! resample: exactly so for means (log-loss, Brier, KL, agreement, top-k), to first order for the
//! others (ROC AUC, average precision, ECE, MCE).

use super::calibration::{self, BINS};
use super::name::Metric;
use super::scored::Scored;
use super::{against, probability, ranking};
use crate::predictions::Predictions;

/// Influence values of every metric of `model` that does not follow from counts.
///
/// # Shapes
/// - each `[N]`, all rows of the predictions, with mean 0; 0 for a row that the metric passes over
pub fn influences(
    model: &Predictions,
    scored: &Scored,
    teacher: Option<&Predictions>,
) -> Vec<(Metric, Vec<f64>)> {
    let mut columns = Vec::new();
    let mut labelled = ranking::influences(scored);
    labelled.extend(row_means(scored));
    labelled.extend(calibration_errors(scored));
    // A metric of n labelled among N rows: a mean over N after stretching by N / n.
    let stretch = model.rows() as f64 / scored.len() as f64;
    for (metric, values) in labelled {
        let mut column = vec![0.0; model.rows()];
        scored.rows().iter().zip(values).for_each(|(row, value)| column[*row] = stretch * value);
        columns.push((metric, column));
    }
    if let Some(teacher) = teacher {
        let same = teacher.predicted().into_iter().zip(model.predicted());
        let same = same.map(|(left, right)| if left == right { 1.0 } else { 0.0 }).collect();
        columns.push((Metric::Agreement, centred(same)));
        columns.push((Metric::Kl, centred(against::row_kls(teacher, model))));
    }
    columns
}

fn row_means(scored: &Scored) -> Vec<(Metric, Vec<f64>)> {
    let column = |of: &dyn Fn(usize) -> f64| centred((0..scored.len()).map(of).collect());
    let top = |k| column(&move |at| if probability::is_in_top(scored, at, k) { 1.0 } else { 0.0 });
    let mut columns = vec![
        (Metric::LogLoss, column(&|at| probability::row_log_loss(scored, at))),
        (Metric::Brier, column(&|at| probability::row_brier(scored, at))),
    ];
    for (metric, k) in [(Metric::Top3, 3), (Metric::Top5, 5)] {
        if scored.num_labels() > k {
            columns.push((metric, top(k)));
        }
    }
    columns
}

fn calibration_errors(scored: &Scored) -> Vec<(Metric, Vec<f64>)> {
    let plain = calibration::confidences(scored, 1.0);
    let scaled = calibration::confidences(scored, scored.temperature());
    vec![
        (Metric::Ece, ece_influence(scored, &plain)),
        (Metric::Mce, mce_influence(scored, &plain)),
        (Metric::EceScaled, ece_influence(scored, &scaled)),
    ]
}

/// `ECE = Σ_bins |Σ_rows d| / n` with `d` = right − confidence: a row moves it by `± d`.
fn ece_influence(scored: &Scored, confidences: &[f64]) -> Vec<f64> {
    let bins = calibration::bins_of(scored, confidences);
    let sign = |at: usize| {
        let bin = &bins[calibration::bin_of(confidences[at])];
        if bin.accuracy < bin.confidence { -1.0 } else { 1.0 }
    };
    centred((0..scored.len()).map(|at| sign(at) * gap(scored, confidences, at)).collect())
}

/// The same in the bin of the largest error alone, whose share of the rows it is a mean over.
fn mce_influence(scored: &Scored, confidences: &[f64]) -> Vec<f64> {
    let bins = calibration::bins_of(scored, confidences);
    let error = |bin: usize| (bins[bin].accuracy - bins[bin].confidence).abs();
    let filled = (0..BINS).filter(|bin| bins[*bin].rows > 0);
    let Some(worst) = filled.max_by(|left, right| error(*left).total_cmp(&error(*right))) else {
        return Vec::new();
    };
    let sign = if bins[worst].accuracy < bins[worst].confidence { -1.0 } else { 1.0 };
    let stretch = scored.len() as f64 / bins[worst].rows as f64;
    let moves = |at: usize| match calibration::bin_of(confidences[at]) == worst {
        true => stretch * (sign * gap(scored, confidences, at) - error(worst)),
        false => 0.0,
    };
    (0..scored.len()).map(moves).collect()
}

fn gap(scored: &Scored, confidences: &[f64], at: usize) -> f64 {
    (if scored.is_correct(at) { 1.0 } else { 0.0 }) - confidences[at]
}

fn centred(mut values: Vec<f64>) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    values.iter_mut().for_each(|value| *value -= mean);
    values
}
