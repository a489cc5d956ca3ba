//! Data sets whose rows have several classes, a number, a tag for each word, or answers: figures, resampled values, slices and rows.
//!
//! What follows from sums over the rows is drawn by resampling those sums; what follows from an order of the rows
//! by their influence on it. All models share the draws, so that two of them can be compared row for row.
//!
//! `N` rows, `n` labelled rows.

use std::collections::BTreeMap;

use distill_core::StopSignal;
use distill_task::Label;

use super::judgement::Judgement;
use super::{compare, rows_of_kinds};
use crate::metrics::{ClassFigures, Metric};
use crate::predictions::{Predictions, Role};
use crate::report::{ConstantAnswer, DataReport, Figure, ModelReport};
use crate::settings::ReportSettings;
use crate::stats::Draws;
use crate::stats::means::draw_means;

pub(crate) mod answered;
pub(crate) mod multi_label;
pub(crate) mod regression;
pub(crate) mod tagged;

/// How one kind of label is judged.
pub(crate) trait RowMeans: Sync {
    /// Figures of one model, and what their draws need.
    fn judge(&self, model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged;

    /// Means over labelled rows that no model changes: `[d][n]`.
    fn shared(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>>;

    /// The best answer that is always the same, from the means of [`RowMeans::shared`].
    fn constant(&self, model: &Predictions, rows: &[usize], means: &[f64]) -> Constant;

    /// What labelled rows are cut by as their label, each row by any number of values.
    fn by_label(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<String>>;

    /// The label of a row and what a model predicts, as lists of rows show them.
    fn shown(&self, model: &Predictions, teacher: &Predictions, row: usize) -> (String, String);

    /// What a model predicts on a row, to be compared with another model's.
    fn predicted(&self, model: &Predictions, row: usize) -> Vec<i32>;

    /// The probability that a model gives to its whole answer on a row; none where it gives none.
    fn confidence(&self, model: &Predictions, row: usize) -> Option<f64>;
}

/// Metrics and the F1 of every label from means over rows: of what all models share, and of a model's own.
type FromMeans = Box<dyn Fn(&[f64], &[f64]) -> (Vec<(Metric, f64)>, Vec<f64>)>;

/// Metrics from the means over rows that all models share.
type FromShared = Box<dyn Fn(&[f64]) -> Vec<(Metric, f64)>>;

/// The best answer that is always the same, and its metrics from the means that all models share.
pub(crate) struct Constant {
    /// The answer, with metrics without intervals.
    pub answer: ConstantAnswer,
    from_shared: FromShared,
}

impl Constant {
    /// Of the means on the rows themselves.
    fn new(
        labels: Vec<String>,
        value: Option<f64>,
        shared: &[f64],
        from_shared: impl Fn(&[f64]) -> Vec<(Metric, f64)> + 'static,
    ) -> Self {
        let values = from_shared(shared).into_iter().filter(|(_, value)| value.is_finite());
        let metrics = values.map(|(metric, value)| (metric, Figure { value, interval: None })).collect();
        Constant { answer: ConstantAnswer { labels, value, metrics }, from_shared: Box::new(from_shared) }
    }
}

/// One model, judged.
pub(crate) struct Judged {
    /// Its metrics.
    pub values: BTreeMap<Metric, f64>,
    /// What a model without draws of its own says in the report.
    pub report: ModelReport,
    /// By labelled row, whether all of its labels are right; empty where rows have numbers.
    pub right: Vec<bool>,
    /// By labelled row, the absolute error; empty where rows have classes.
    pub errors: Vec<f64>,
    /// Means over labelled rows that metrics follow from: `[d][n]`.
    own: Vec<Vec<f64>>,
    from_means: FromMeans,
    /// Influence values of metrics of the labelled rows, `[n]` each, with mean 0.
    influences: Vec<(Metric, Vec<f64>)>,
    /// Row values whose mean is a metric of all rows, `[N]` each.
    of_all_rows: Vec<(Metric, Vec<f64>)>,
}

/// A measured data set of this kind.
pub(super) struct Kinds {
    /// How they are judged.
    pub kind: &'static dyn RowMeans,
    /// The models, in the order given.
    pub models: Vec<Judged>,
    /// Places of the labelled rows.
    pub rows: Vec<usize>,
    /// The best answer that is always the same.
    pub constant: Constant,
    /// Means over labelled rows that no model changes: `[d][n]`.
    shared: Vec<Vec<f64>>,
}

impl Kinds {
    /// Judges models that were aligned.
    pub fn new(models: &[Predictions], teacher: Option<&Predictions>, kind: &'static dyn RowMeans) -> Self {
        let first = &models[0];
        let rows: Vec<usize> = (0..first.rows()).filter(|row| first.labels[*row].is_some()).collect();
        let judge = |model: &Predictions| {
            kind.judge(model, &rows, teacher.filter(|teacher| teacher.name != model.name))
        };
        let shared = kind.shared(first, &rows);
        let means: Vec<f64> = shared.iter().map(|column| centred(column).1).collect();
        let constant = kind.constant(first, &rows, &means);
        Kinds { kind, models: models.iter().map(judge).collect(), constant, rows, shared }
    }

    /// Draws every metric of every model.
    pub fn draws(&self, seed: u64, resamples: usize) -> Draws {
        let mut draws = Draws {
            metrics: vec![BTreeMap::new(); self.models.len()],
            class_f1: vec![Vec::new(); self.models.len()],
            constant: BTreeMap::new(),
        };
        self.draw_labelled(&mut draws, seed, resamples);
        let all: Vec<(usize, Metric, &Vec<f64>)> = (0..self.models.len())
            .flat_map(|at| {
                self.models[at].of_all_rows.iter().map(move |(metric, values)| (at, *metric, values))
            })
            .collect();
        let columns: Vec<Vec<f64>> = all.iter().map(|(_, _, values)| centred(values).0).collect();
        for ((at, metric, _), drawn) in all.iter().zip(draw_means(&columns, seed, resamples)) {
            let value = self.models[*at].values[metric];
            draws.metrics[*at].insert(*metric, drawn.into_iter().map(|moved| value + moved).collect());
        }
        draws
    }

    fn draw_labelled(&self, draws: &mut Draws, seed: u64, resamples: usize) {
        let mut columns = Vec::new();
        let mut means = Vec::new();
        let sums = self.shared.iter().chain(self.models.iter().flat_map(|model| &model.own));
        for (column, mean) in sums.map(|column| centred(column)) {
            columns.push(column);
            means.push(mean);
        }
        let influences = self.models.iter().flat_map(|model| &model.influences);
        columns.extend(influences.map(|(_, column)| column.clone()));
        let drawn = draw_means(&columns, seed, resamples);
        let at_resample = |column: usize, resample: usize| means[column] + drawn[column][resample];
        let shared_at = |resample: usize| -> Vec<f64> {
            (0..self.shared.len()).map(|column| at_resample(column, resample)).collect()
        };
        for resample in 0..resamples {
            for (metric, value) in (self.constant.from_shared)(&shared_at(resample)) {
                draws.constant.entry(metric).or_default().push(value);
            }
        }
        let (mut own, mut influence) = (self.shared.len(), means.len());
        for (at, model) in self.models.iter().enumerate() {
            for resample in 0..resamples {
                let shared = shared_at(resample);
                let end = own + model.own.len();
                let values: Vec<f64> = (own..end).map(|column| at_resample(column, resample)).collect();
                let (metrics, class_f1) = (model.from_means)(&shared, &values);
                for (metric, value) in metrics {
                    draws.metrics[at].entry(metric).or_default().push(value);
                }
                draws.class_f1[at].resize(class_f1.len(), Vec::with_capacity(resamples));
                draws.class_f1[at].iter_mut().zip(class_f1).for_each(|(drawn, value)| drawn.push(value));
            }
            own += model.own.len();
            for (metric, _) in &model.influences {
                let (value, range) = (model.values[metric], metric.range());
                // First-order draws may step over the end of a metric's range.
                let moved = drawn[influence].iter().map(|moved| (value + moved).clamp(range[0], range[1]));
                draws.metrics[at].insert(*metric, moved.collect());
                influence += 1;
            }
        }
    }

    /// The report of the data set, without what stands between models.
    pub fn report(
        &self,
        name: String,
        models: &[Predictions],
        rows_hash: String,
        settings: &ReportSettings,
    ) -> DataReport {
        let first = &models[0];
        let values: Vec<&BTreeMap<Metric, f64>> = self.models.iter().map(|model| &model.values).collect();
        DataReport {
            name,
            problem_type: first.problem_type,
            rows: first.rows(),
            labelled: self.rows.len(),
            rows_hash,
            labels: first.label_map.names().to_vec(),
            models: self.models.iter().map(|model| model.report.clone()).collect(),
            constant: Some(self.constant.answer.clone()),
            comparisons: Vec::new(),
            seeds: compare::seeds(models, &values, settings.confidence),
            slices: rows_of_kinds::slices(models, self, settings),
            errors: rows_of_kinds::errors(models, self, settings.listed),
        }
    }
}

/// Models of this kind with what was judged of them.
pub(crate) struct OfMeans<'a> {
    models: &'a [Predictions],
    kinds: Kinds,
}

impl<'a> OfMeans<'a> {
    /// Judges models that were aligned.
    pub fn new(models: &'a [Predictions], teacher: Option<&Predictions>, kind: &'static dyn RowMeans) -> Self {
        OfMeans { models, kinds: Kinds::new(models, teacher, kind) }
    }
}

impl Judgement for OfMeans<'_> {
    fn draws(&self, settings: &ReportSettings, _stop: &StopSignal) -> Draws {
        self.kinds.draws(settings.seed, settings.resamples)
    }

    fn report(&self, name: String, rows_hash: String, settings: &ReportSettings) -> DataReport {
        self.kinds.report(name, self.models, rows_hash, settings)
    }

    fn right(&self) -> Vec<Vec<bool>> {
        self.kinds.models.iter().map(|model| model.right.clone()).filter(|right| !right.is_empty()).collect()
    }
}

/// A column with mean 0, and the mean that it had.
fn centred(column: &[f64]) -> (Vec<f64>, f64) {
    let mean = column.iter().sum::<f64>() / column.len().max(1) as f64;
    (column.iter().map(|value| value - mean).collect(), mean)
}

/// The report of a model that has figures alone.
fn model_report(
    model: &Predictions,
    values: &BTreeMap<Metric, f64>,
    classes: Vec<ClassFigures>,
) -> ModelReport {
    let figure = |(metric, value): (&Metric, &f64)| (*metric, Figure { value: *value, interval: None });
    ModelReport {
        role: model.role,
        cost: model.cost,
        rounds: model.rounds.clone(),
        metrics: values.iter().map(figure).collect(),
        classes,
        ..ModelReport::new(model.name.clone())
    }
}

/// Whether a row has each label, `[C]`.
fn targets_of(label: &Label<i32>, num_labels: usize) -> Vec<bool> {
    let mut targets = vec![false; num_labels];
    let places = label.classes().filter_map(|class| usize::try_from(*class).ok());
    places.for_each(|class| targets[class] = true);
    targets
}

/// The place of the model that is the teacher.
pub(super) fn teacher_at(models: &[Predictions]) -> Option<usize> {
    models.iter().position(|model| model.role == Role::Teacher)
}

/// One value a row.
fn one_each(values: impl IntoIterator<Item = String>) -> Vec<Vec<String>> {
    values.into_iter().map(|value| vec![value]).collect()
}
