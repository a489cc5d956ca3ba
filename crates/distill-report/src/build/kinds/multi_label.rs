//! One model whose rows have several classes.

use std::collections::BTreeMap;

use distill_task::Label;
use distill_task::logits::above_zero;

use super::{Constant, Judged, RowMeans, model_report, targets_of};
use crate::metrics::multi_label::{self, MultiLabelFigures};
use crate::metrics::{ClassFigures, Metric, ranking};
use crate::predictions::Predictions;

/// Rows with any number of classes.
pub(crate) struct MultiLabel;

impl RowMeans for MultiLabel {
    fn judge(&self, model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
        judge(model, rows, teacher)
    }

    fn shared(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
        shared(model, rows)
    }

    fn constant(&self, model: &Predictions, _rows: &[usize], means: &[f64]) -> Constant {
        constant(model, means)
    }

    fn by_label(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<String>> {
        rows.iter().map(|row| names(model, model.labels[*row].as_ref())).collect()
    }

    fn shown(&self, model: &Predictions, _teacher: &Predictions, row: usize) -> (String, String) {
        let predicted = Label::Classes(self.predicted(model, row));
        (joined(names(model, model.labels[row].as_ref())), joined(names(model, Some(&predicted))))
    }

    fn predicted(&self, model: &Predictions, row: usize) -> Vec<i32> {
        above_zero(model.row(row)).map(|class| class as i32).collect()
    }

    fn confidence(&self, model: &Predictions, row: usize) -> Option<f64> {
        // Label by label.
        let shares = model.row(row).iter().map(|logit| 1.0 / (1.0 + (-f64::from(logit.abs())).exp()));
        Some(shares.product())
    }
}

/// Figures, and what their draws need.
fn judge(model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
    let width = model.num_labels();
    let logits: Vec<f32> = rows.iter().flat_map(|row| model.row(*row)).copied().collect();
    let targets = flat_targets(model, rows);
    let mut values: BTreeMap<Metric, f64> =
        multi_label::figures(&logits, &targets, width).map(|figures| metrics(&figures)).unwrap_or_default();
    let cells: Vec<Vec<(bool, bool)>> = (0..rows.len())
        .map(|at| {
            let cells = at * width..(at + 1) * width;
            cells.map(|cell| (logits[cell] > 0.0, targets[cell])).collect()
        })
        .collect();
    let of_all_rows = teacher.map(|teacher| against_teacher(teacher, model)).unwrap_or_default();
    for (metric, column) in &of_all_rows {
        values.insert(*metric, column.iter().sum::<f64>() / column.len() as f64);
    }
    let mut report = model_report(model, &values, classes(&cells, model.label_map.names()));
    let scores = logits.iter().map(|logit| f64::from(*logit)).zip(targets.iter().copied());
    report.curves = ranking::curves_of(scores.collect());
    Judged {
        report,
        right: cells.iter().map(|row| row.iter().all(|(predicted, target)| predicted == target)).collect(),
        errors: Vec::new(),
        own: own_columns(&cells, &logits, &targets, width),
        from_means: Box::new(move |shared, own| from_means(shared, own, width)),
        influences: influences(&logits, &targets, width, &values),
        of_all_rows,
        values,
    }
}

fn flat_targets(model: &Predictions, rows: &[usize]) -> Vec<bool> {
    let labels = rows.iter().filter_map(|row| model.labels[*row].as_ref());
    labels.flat_map(|label| targets_of(label, model.num_labels())).collect()
}

/// By label, whether a row has it: `[C][n]`.
fn shared(model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
    let (width, targets) = (model.num_labels(), flat_targets(model, rows));
    (0..width)
        .map(|label| targets.iter().skip(label).step_by(width).map(|target| share(*target)).collect())
        .collect()
}

/// Always predicting the most frequent labels, as many as give the highest micro F1.
fn constant(model: &Predictions, shares: &[f64]) -> Constant {
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|left, right| shares[*right].total_cmp(&shares[*left]));
    let micro_f1 = |count: usize| {
        let hits: f64 = order[..count].iter().map(|label| shares[*label]).sum();
        2.0 * hits / (count as f64 + shares.iter().sum::<f64>())
    };
    let best = (1..=order.len()).max_by(|left, right| micro_f1(*left).total_cmp(&micro_f1(*right)));
    order.truncate(best.unwrap_or(0));
    let names = order.iter().filter_map(|label| model.label_map.name(*label).map(str::to_owned)).collect();
    Constant::new(names, None, shares, move |shares| {
        let hits: f64 = order.iter().map(|label| shares[*label]).sum();
        let (actual, predicted) = (shares.iter().sum::<f64>(), order.len() as f64);
        let macro_f1: f64 = order.iter().map(|label| 2.0 * shares[*label] / (1.0 + shares[*label])).sum();
        vec![
            (Metric::MicroPrecision, hits / predicted),
            (Metric::MicroRecall, if actual > 0.0 { hits / actual } else { 0.0 }),
            (Metric::MicroF1, 2.0 * hits / (predicted + actual)),
            (Metric::MacroF1, macro_f1 / shares.len() as f64),
        ]
    })
}

fn share(yes: bool) -> f64 {
    if yes { 1.0 } else { 0.0 }
}

/// The metrics of a data set's figures.
fn metrics(figures: &MultiLabelFigures) -> BTreeMap<Metric, f64> {
    let MultiLabelFigures { micro, macro_average, weighted, samples, .. } = figures;
    let mut metrics = BTreeMap::from([
        (Metric::SubsetAccuracy, figures.subset_accuracy),
        (Metric::HammingLoss, figures.hamming_loss),
        (Metric::LogLoss, figures.log_loss),
        (Metric::MicroPrecision, micro.precision),
        (Metric::MicroRecall, micro.recall),
        (Metric::MicroF1, micro.f1),
        (Metric::MacroPrecision, macro_average.precision),
        (Metric::MacroRecall, macro_average.recall),
        (Metric::MacroF1, macro_average.f1),
        (Metric::WeightedPrecision, weighted.precision),
        (Metric::WeightedRecall, weighted.recall),
        (Metric::WeightedF1, weighted.f1),
        (Metric::SamplesPrecision, samples.precision),
        (Metric::SamplesRecall, samples.recall),
        (Metric::SamplesF1, samples.f1),
    ]);
    metrics.extend(figures.roc_auc.map(|value| (Metric::RocAuc, value)));
    metrics.extend(figures.average_precision.map(|value| (Metric::AveragePrecision, value)));
    metrics
}

/// Metrics that are means over rows, in the order of their columns.
const ROW_MEANS: [Metric; 6] = [
    Metric::SubsetAccuracy,
    Metric::HammingLoss,
    Metric::LogLoss,
    Metric::SamplesPrecision,
    Metric::SamplesRecall,
    Metric::SamplesF1,
];

/// A figure of one row, from its place and its pairs of predicted and so.
type OfRow<'a> = &'a dyn Fn(usize, &[(bool, bool)]) -> f64;

/// By label hits, by label predictions, then [`ROW_MEANS`].
fn own_columns(cells: &[Vec<(bool, bool)>], logits: &[f32], targets: &[bool], width: usize) -> Vec<Vec<f64>> {
    let column =
        |of: OfRow<'_>| -> Vec<f64> { cells.iter().enumerate().map(|(at, row)| of(at, row)).collect() };
    let mut columns: Vec<Vec<f64>> =
        (0..width).map(|label| column(&|_, row| share(row[label].0 && row[label].1))).collect();
    columns.extend((0..width).map(|label| column(&|_, row| share(row[label].0))));
    columns.push(column(&|_, row| share(row.iter().all(|(predicted, target)| predicted == target))));
    columns.push(column(&|_, row| {
        row.iter().filter(|(predicted, target)| predicted != target).count() as f64 / width as f64
    }));
    columns.push(column(&|at, _| {
        let cells = at * width..(at + 1) * width;
        let losses = cells.map(|cell| multi_label::cell_log_loss(logits[cell], targets[cell]));
        losses.sum::<f64>() / width as f64
    }));
    for of in [
        (|shares| shares.precision) as fn(multi_label::Shares) -> f64,
        |shares| shares.recall,
        |shares| shares.f1,
    ] {
        columns.push(column(&|_, row| of(multi_label::row_shares(row))));
    }
    columns
}

/// The metrics that follow from means over rows, and the F1 of every label.
fn from_means(actual: &[f64], own: &[f64], width: usize) -> (Vec<(Metric, f64)>, Vec<f64>) {
    let (hits, predicted) = (&own[..width], &own[width..2 * width]);
    let ratio = |part: f64, whole: f64| if whole <= 1e-12 { 0.0 } else { part / whole };
    let shares = |hits: f64, actual: f64, predicted: f64| {
        [ratio(hits, predicted), ratio(hits, actual), ratio(2.0 * hits, predicted + actual)]
    };
    let of_label: Vec<[f64; 3]> =
        (0..width).map(|label| shares(hits[label], actual[label], predicted[label])).collect();
    let [all_hits, all_actual, all_predicted] =
        [hits, actual, predicted].map(|column| column.iter().sum::<f64>());
    let micro = shares(all_hits, all_actual, all_predicted);
    let names = [
        [Metric::MicroPrecision, Metric::MicroRecall, Metric::MicroF1],
        [Metric::MacroPrecision, Metric::MacroRecall, Metric::MacroF1],
        [Metric::WeightedPrecision, Metric::WeightedRecall, Metric::WeightedF1],
    ];
    let mut metrics = Vec::with_capacity(15);
    for part in 0..3 {
        let plain = of_label.iter().map(|shares| shares[part]).sum::<f64>() / width as f64;
        let weighted = of_label.iter().zip(actual).map(|(shares, weight)| weight * shares[part]).sum::<f64>();
        metrics.push((names[0][part], micro[part]));
        metrics.push((names[1][part], plain));
        metrics.push((names[2][part], ratio(weighted, all_actual)));
    }
    metrics.extend(ROW_MEANS.into_iter().zip(own[2 * width..].iter().copied()));
    (metrics, of_label.into_iter().map(|shares| shares[2]).collect())
}

/// How much each row moves the means of ROC AUC and average precision over the labels.
fn influences(
    logits: &[f32],
    targets: &[bool],
    width: usize,
    values: &BTreeMap<Metric, f64>,
) -> Vec<(Metric, Vec<f64>)> {
    if !values.contains_key(&Metric::RocAuc) {
        return Vec::new();
    }
    let pairs = |label: usize| {
        let scores = logits.iter().skip(label).step_by(width).map(|logit| f64::from(*logit));
        scores.zip(targets.iter().skip(label).step_by(width).copied()).collect()
    };
    let (roc_auc, average_precision) = ranking::mean_influences((0..width).map(pairs), logits.len() / width);
    vec![(Metric::RocAuc, roc_auc), (Metric::AveragePrecision, average_precision)]
}

/// By row of all rows: whether model and teacher predict the same labels, and the divergence of the sigmoids.
fn against_teacher(teacher: &Predictions, model: &Predictions) -> Vec<(Metric, Vec<f64>)> {
    let rows = || (0..model.rows()).map(|row| (teacher.row(row), model.row(row)));
    let same = |(teacher, model): (&[f32], &[f32])| {
        share(teacher.iter().zip(model).all(|(left, right)| (*left > 0.0) == (*right > 0.0)))
    };
    let divergence = |(teacher, model): (&[f32], &[f32])| {
        teacher.iter().zip(model).map(|(left, right)| sigmoid_kl(f64::from(*left), f64::from(*right))).sum()
    };
    vec![(Metric::Agreement, rows().map(same).collect()), (Metric::Kl, rows().map(divergence).collect())]
}

/// `KL(σ(z_t) ‖ σ(z_s))` of one yes or no, in nats.
fn sigmoid_kl(teacher: f64, model: f64) -> f64 {
    // ln(1 + e^z), without overflow.
    let softplus = |z: f64| z.max(0.0) + (-z.abs()).exp().ln_1p();
    let yes = 1.0 / (1.0 + (-teacher).exp());
    yes * (softplus(-model) - softplus(-teacher)) + (1.0 - yes) * (softplus(model) - softplus(teacher))
}

fn classes(cells: &[Vec<(bool, bool)>], names: &[String]) -> Vec<ClassFigures> {
    let figures = |(label, name): (usize, &String)| {
        let column: Vec<(bool, bool)> = cells.iter().map(|row| row[label]).collect();
        let shares = multi_label::row_shares(&column);
        ClassFigures {
            label: name.clone(),
            precision: shares.precision,
            recall: shares.recall,
            f1: shares.f1,
            support: column.iter().filter(|(_, target)| *target).count() as u64,
            predicted: column.iter().filter(|(predicted, _)| *predicted).count() as u64,
            f1_interval: None,
        }
    };
    names.iter().enumerate().map(figures).collect()
}

fn names(model: &Predictions, label: Option<&Label<i32>>) -> Vec<String> {
    let name = |class: &i32| model.label_map.name(usize::try_from(*class).ok()?).map(str::to_owned);
    label.into_iter().flat_map(Label::classes).filter_map(name).collect()
}

fn joined(names: Vec<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use distill_core::LabelMap;
    use distill_task::TaskId;

    use super::*;
    use crate::predictions::Role;

    /// The means of the rows themselves must give the figures that scikit-learn's goldens stand behind.
    #[test]
    fn metrics_from_means_are_those_of_the_figures() {
        let labels: Vec<_> = (0..40)
            .map(|row| {
                (row % 7 != 0).then(|| Label::Classes((0..3).filter(|c| (row + c) % (c + 2) == 0).collect()))
            })
            .collect();
        let logits: Vec<f32> = (0..120).map(|cell| ((cell * cell) % 17) as f32 / 4.0 - 2.0).collect();
        let ids = (0..40).map(|row| row.to_string()).collect();
        let map = LabelMap::numbered(3).unwrap();
        let kind = TaskId::MULTI_LABEL;
        let model = Predictions::labelled("m", Role::Student, kind, ids, map, labels, logits).unwrap();
        let rows: Vec<usize> = (0..40).filter(|row| row % 7 != 0).collect();
        let judged = judge(&model, &rows, None);
        let mean = |column: &Vec<f64>| column.iter().sum::<f64>() / column.len() as f64;
        let shared: Vec<f64> = shared(&model, &rows).iter().map(mean).collect();
        let own: Vec<f64> = judged.own.iter().map(mean).collect();
        let (metrics, class_f1) = (judged.from_means)(&shared, &own);
        assert_eq!(metrics.len(), 15);
        for (metric, value) in metrics {
            assert!((judged.values[&metric] - value).abs() < 1e-12, "{}", metric.name());
        }
        for (class, f1) in judged.report.classes.iter().zip(class_f1) {
            assert!((class.f1 - f1).abs() < 1e-12, "{}", class.label);
        }
        for (metric, column) in &judged.influences {
            assert!(mean(column).abs() < 1e-9, "{}", metric.name());
        }
    }

    #[test]
    fn the_divergence_of_two_sigmoids_is_that_of_their_probabilities() {
        let of = |p: f64, q: f64| p * (p / q).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - q)).ln();
        assert!((sigmoid_kl(4f64.ln(), 0.0) - of(0.8, 0.5)).abs() < 1e-12);
        assert!(sigmoid_kl(900.0, 900.0).abs() < 1e-12 && sigmoid_kl(900.0, -900.0).is_finite());
    }
}
