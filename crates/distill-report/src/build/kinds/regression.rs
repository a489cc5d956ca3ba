//! One model that gives a number.

use std::collections::BTreeMap;

use distill_task::Label;

use super::{Constant, Judged, RowMeans, model_report, one_each};
use crate::documents::format::number;
use crate::metrics::Metric;
use crate::metrics::regression::{self, RegressionFigures};
use crate::predictions::Predictions;

/// Points that a chart of values shows.
const POINTS: usize = 1000;

/// Rows with a number.
pub(crate) struct Regression;

impl RowMeans for Regression {
    fn judge(&self, model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
        judge(model, rows, teacher)
    }

    fn shared(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
        shared(model, rows)
    }

    fn constant(&self, model: &Predictions, rows: &[usize], means: &[f64]) -> Constant {
        constant(model, rows, means)
    }

    fn by_label(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<String>> {
        one_each(by_value(model, rows))
    }

    fn shown(&self, model: &Predictions, teacher: &Predictions, row: usize) -> (String, String) {
        let of = |model: &Predictions| f64::from(model.row(row)[0]);
        let label = match &model.labels[row] {
            Some(Label::Value(value)) => value.to_string(),
            _ => String::new(),
        };
        (label, format!("{:.4} (teacher {:.4})", of(model), of(teacher)))
    }

    fn predicted(&self, _model: &Predictions, _row: usize) -> Vec<i32> {
        Vec::new()
    }

    fn confidence(&self, _model: &Predictions, _row: usize) -> Option<f64> {
        None
    }
}

/// Figures, and what their draws need.
fn judge(model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
    let targets = targets(model, rows);
    let values: Vec<f64> = rows.iter().map(|row| f64::from(model.row(*row)[0])).collect();
    let figures = regression::figures(&values, &targets);
    let mut metrics: BTreeMap<Metric, f64> = figures.map(|figures| metrics_of(&figures)).unwrap_or_default();
    let of_all_rows = teacher.map(|teacher| against_teacher(teacher, model)).unwrap_or_default();
    for (metric, column) in &of_all_rows {
        metrics.insert(*metric, column.iter().sum::<f64>() / column.len() as f64);
    }
    let mut report = model_report(model, &metrics, Vec::new());
    let step = rows.len().div_ceil(POINTS).max(1);
    report.scatter = targets
        .iter()
        .zip(&values)
        .step_by(step)
        .map(|(target, value)| [*target, *value].map(rounded))
        .collect();
    let errors: Vec<f64> = targets.iter().zip(&values).map(|(target, value)| value - target).collect();
    let centre = mean(&targets);
    let shifted = || values.iter().map(|value| value - centre);
    let own = vec![
        errors.clone(),
        errors.iter().map(|error| error * error).collect(),
        errors.iter().map(|error| error.abs()).collect(),
        shifted().collect(),
        shifted().map(|value| value * value).collect(),
        shifted().zip(&targets).map(|(value, target)| value * (target - centre)).collect(),
    ];
    let spearman =
        metrics.contains_key(&Metric::Spearman).then(|| regression::spearman_influence(&values, &targets));
    Judged {
        report,
        right: Vec::new(),
        errors: errors.iter().map(|error| error.abs()).collect(),
        own,
        from_means: Box::new(|shared, own| (from_means(shared, own), Vec::new())),
        influences: spearman.map(|column| (Metric::Spearman, column)).into_iter().collect(),
        of_all_rows,
        values: metrics,
    }
}

/// Targets and their squares, about their mean: `[2][n]`.
fn shared(model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
    let targets = targets(model, rows);
    let centre = mean(&targets);
    let shifted: Vec<f64> = targets.iter().map(|target| target - centre).collect();
    let squares = shifted.iter().map(|target| target * target).collect();
    vec![shifted, squares]
}

/// Always giving the mean of these rows.
fn constant(model: &Predictions, rows: &[usize], shared: &[f64]) -> Constant {
    Constant::new(Vec::new(), Some(mean(&targets(model, rows))), shared, |shared| {
        // About the mean that is given, so the second is the squared error.
        let [moved, mse] = [shared[0], shared[1]];
        let variance = mse - moved * moved;
        let r2 = if variance > 0.0 { 1.0 - mse / variance } else { f64::NAN };
        vec![(Metric::Mse, mse), (Metric::Rmse, mse.max(0.0).sqrt()), (Metric::R2, r2)]
    })
}

fn targets(model: &Predictions, rows: &[usize]) -> Vec<f64> {
    let value = |label: &Label<i32>| if let Label::Value(value) = label { Some(*value) } else { None };
    rows.iter().filter_map(|row| value(model.labels[*row].as_ref()?)).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Charts need no more than six digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

fn metrics_of(figures: &RegressionFigures) -> BTreeMap<Metric, f64> {
    let mut metrics = BTreeMap::from([
        (Metric::Mse, figures.mse),
        (Metric::Rmse, figures.rmse),
        (Metric::Mae, figures.mae),
        (Metric::MaxError, figures.max_error),
        (Metric::R2, figures.r2),
        (Metric::ExplainedVariance, figures.explained_variance),
    ]);
    metrics.extend(figures.pearson.map(|value| (Metric::Pearson, value)));
    metrics.extend(figures.spearman.map(|value| (Metric::Spearman, value)));
    metrics
}

/// The metrics that follow from means over rows; undefined ones are NaN and keep their place.
fn from_means(shared: &[f64], own: &[f64]) -> Vec<(Metric, f64)> {
    let [target, squared_target] = [shared[0], shared[1]];
    let [error, mse, mae, value, squared_value, product] = [own[0], own[1], own[2], own[3], own[4], own[5]];
    let variance = |square: f64, mean: f64| (square - mean * mean).max(0.0);
    let (of_targets, of_values) = (variance(squared_target, target), variance(squared_value, value));
    let explained = |left: f64| if of_targets > 0.0 { 1.0 - left / of_targets } else { f64::NAN };
    let spread = (of_targets * of_values).sqrt();
    let pearson = if spread > 0.0 { ((product - target * value) / spread).clamp(-1.0, 1.0) } else { f64::NAN };
    vec![
        (Metric::Mse, mse),
        (Metric::Rmse, mse.max(0.0).sqrt()),
        (Metric::Mae, mae),
        (Metric::R2, explained(mse)),
        (Metric::ExplainedVariance, explained(variance(mse, error))),
        (Metric::Pearson, pearson),
    ]
}

/// By row of all rows: the squared distance from the teacher's value.
fn against_teacher(teacher: &Predictions, model: &Predictions) -> Vec<(Metric, Vec<f64>)> {
    let distance = |row: usize| (f64::from(model.row(row)[0]) - f64::from(teacher.row(row)[0])).powi(2);
    vec![(Metric::TeacherMse, (0..model.rows()).map(distance).collect())]
}

/// Four parts of about as many rows each, by the label's value.
fn by_value(model: &Predictions, rows: &[usize]) -> Vec<String> {
    let value = |row: &usize| match &model.labels[*row] {
        Some(Label::Value(value)) => *value,
        _ => f64::NAN,
    };
    let values: Vec<f64> = rows.iter().map(value).collect();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let border = |quarter: usize| sorted[(sorted.len() * quarter / 4).min(sorted.len() - 1)];
    let borders = [border(1), border(2), border(3)];
    let shown = borders.map(number);
    let band = |value: f64| match borders.iter().position(|border| value < *border) {
        Some(0) => format!("below {}", shown[0]),
        Some(at) => format!("{} to below {}", shown[at - 1], shown[at]),
        None => format!("{} or more", shown[2]),
    };
    values.into_iter().map(band).collect()
}

#[cfg(test)]
mod tests {
    use distill_core::LabelMap;
    use distill_task::TaskId;

    use super::*;
    use crate::predictions::Role;

    #[test]
    fn metrics_from_means_are_those_of_the_figures() {
        let labels: Vec<_> = (0..50)
            .map(|row| (row % 6 != 0).then(|| Label::Value(f64::from(row % 11) * 0.7 + 100.0)))
            .collect();
        let logits: Vec<f32> = (0..50).map(|row| (row % 11) as f32 * 0.5 + (row % 3) as f32 + 100.0).collect();
        let ids = (0..50).map(|row| row.to_string()).collect();
        let (map, kind) = (LabelMap::numbered(1).unwrap(), TaskId::REGRESSION);
        let model = Predictions::labelled("m", Role::Student, kind, ids, map, labels, logits).unwrap();
        let rows: Vec<usize> = (0..50).filter(|row| row % 6 != 0).collect();
        let judged = judge(&model, &rows, None);
        let shared: Vec<f64> = shared(&model, &rows).iter().map(|column| mean(column)).collect();
        let own: Vec<f64> = judged.own.iter().map(|column| mean(column)).collect();
        for (metric, value) in from_means(&shared, &own) {
            assert!((judged.values[&metric] - value).abs() < 1e-9, "{}: {value}", metric.name());
        }
        assert!(mean(&judged.influences[0].1).abs() < 1e-9);
    }
}
