//! One data set: every model's figures with their intervals.

use std::collections::BTreeMap;

use distill_core::StopSignal;
use distill_core::hash::parts_hash;
use distill_task::{Label, LabelShape};

use super::kinds::Kinds;
use super::{DataSet, compare, errors, slices};
use crate::align::align;
use crate::error::ReportError;
use crate::metrics::{self, Metric, Scored, against, calibration, class_figures, classification, ranking};
use crate::predictions::{Predictions, Role};
use crate::report::{Calibration, ConstantAnswer, DataReport, Figure, ModelReport};
use crate::settings::ReportSettings;
use crate::stats::{Draws, Sample, draws, percentile_interval};

/// A measured data set with the resampled values behind its intervals.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The figures.
    pub report: DataReport,
    /// Resampled values, models in the report's order; none where none were asked for.
    draws: Option<Draws>,
}

impl Measured {
    /// Measures every model of a data set.
    ///
    /// # Errors
    /// Those of [`align`], [`ReportError::TwoTeachers`] and [`ReportError::Stopped`].
    pub fn new(set: DataSet, settings: &ReportSettings, stop: &StopSignal) -> Result<Self, ReportError> {
        let models = align(set.predictions)?;
        let Some(first) = models.first() else { return Err(ReportError::NoModels) };
        let teacher = only_teacher(&models)?;
        if first.problem_type.label_shape() != LabelShape::Class {
            return Self::of_kinds(set.name, &models, teacher, settings, stop);
        }
        let scored: Vec<Scored> = models.iter().map(Scored::new).collect();
        let values: Vec<BTreeMap<Metric, f64>> =
            models.iter().zip(&scored).map(|(model, scored)| metrics_of(model, scored, teacher)).collect();
        stop.check()?;
        let draws = (settings.resamples > 0)
            .then(|| draws::draw(&models, &scored, &values, settings.seed, settings.resamples, stop));
        stop.check()?;
        let seeds = compare::seeds(&models, &values.iter().collect::<Vec<_>>(), settings.confidence);
        let reports = models.iter().zip(&scored).zip(values);
        let report = DataReport {
            name: set.name,
            problem_type: first.problem_type,
            rows: first.rows(),
            labelled: scored.first().map_or(0, Scored::len),
            rows_hash: rows_hash(first),
            labels: first.label_map.names().to_vec(),
            models: reports.map(|((model, scored), values)| describe(model, scored, values)).collect(),
            constant: scored.first().map(|scored| constant(scored, first)),
            comparisons: Vec::new(),
            seeds,
            slices: slices::slices(&models, &scored, settings),
            errors: errors::errors(&models, &scored, settings.listed),
        };
        let mut measured = Measured { report, draws };
        measured.add_intervals(settings.confidence);
        let right = |scored: &Scored| (0..scored.len()).map(|at| scored.is_correct(at)).collect();
        let right: Vec<Vec<bool>> = scored.iter().map(right).collect();
        compare::compare(&mut measured, &right, settings.confidence);
        Ok(measured)
    }

    /// A data set whose rows have several classes, or a number.
    fn of_kinds(
        name: String,
        models: &[Predictions],
        teacher: Option<&Predictions>,
        settings: &ReportSettings,
        stop: &StopSignal,
    ) -> Result<Self, ReportError> {
        let kinds = Kinds::new(models, teacher);
        stop.check()?;
        let draws = (settings.resamples > 0).then(|| kinds.draws(settings.seed, settings.resamples));
        stop.check()?;
        let report = kinds.report(name, models, rows_hash(&models[0]), settings);
        let mut measured = Measured { report, draws };
        measured.add_intervals(settings.confidence);
        let right = kinds.models.into_iter().map(|model| model.right).filter(|right| !right.is_empty());
        compare::compare(&mut measured, &right.collect::<Vec<_>>(), settings.confidence);
        Ok(measured)
    }

    /// A metric of a model with its resampled values; none where it is undefined on these rows.
    pub fn sample(&self, model: &str, metric: Metric) -> Option<Sample> {
        let at = self.report.models.iter().position(|known| known.name == model)?;
        let value = self.report.models[at].value(metric)?;
        let draws = self.draws.as_ref().and_then(|draws| draws.metrics[at].get(&metric));
        Some(Sample { value, draws: draws.cloned().unwrap_or_default() })
    }

    /// A metric of the best answer that is always the same.
    pub fn constant_sample(&self, metric: Metric) -> Option<Sample> {
        let value = self.report.constant.as_ref()?.metrics.get(&metric)?.value;
        let draws = self.draws.as_ref().and_then(|draws| draws.constant.get(&metric));
        Some(Sample { value, draws: draws.cloned().unwrap_or_default() })
    }

    /// The resampled F1 of one class; empty where it was not drawn.
    pub fn class_f1_draws(&self, model: &str, label: usize) -> Vec<f64> {
        let at = self.report.models.iter().position(|known| known.name == model);
        let draws = at.zip(self.draws.as_ref()).and_then(|(at, draws)| draws.class_f1[at].get(label));
        draws.cloned().unwrap_or_default()
    }

    fn add_intervals(&mut self, confidence: f64) {
        let Some(draws) = &self.draws else { return };
        for (metric, figure) in self.report.constant.iter_mut().flat_map(|constant| &mut constant.metrics) {
            let drawn = draws.constant.get(metric).into_iter().flatten().copied();
            figure.interval = percentile_interval(drawn, confidence);
        }
        for (at, model) in self.report.models.iter_mut().enumerate() {
            for (metric, figure) in &mut model.metrics {
                let drawn = draws.metrics[at].get(metric).into_iter().flatten().copied();
                figure.interval = percentile_interval(drawn, confidence);
            }
            for (class, drawn) in model.classes.iter_mut().zip(&draws.class_f1[at]) {
                let occurs = class.support + class.predicted > 0;
                class.f1_interval =
                    occurs.then(|| percentile_interval(drawn.iter().copied(), confidence)).flatten();
            }
        }
    }
}

fn only_teacher(models: &[Predictions]) -> Result<Option<&Predictions>, ReportError> {
    let mut teachers = models.iter().filter(|model| model.role == Role::Teacher);
    match (teachers.next(), teachers.next()) {
        (Some(first), Some(second)) => {
            Err(ReportError::TwoTeachers { first: first.name.clone(), second: second.name.clone() })
        }
        (first, _) => Ok(first),
    }
}

fn metrics_of(model: &Predictions, scored: &Scored, teacher: Option<&Predictions>) -> BTreeMap<Metric, f64> {
    let mut values: BTreeMap<Metric, f64> = metrics::all(scored).into_iter().collect();
    if let Some(teacher) = teacher.filter(|teacher| teacher.name != model.name) {
        values.insert(Metric::Agreement, against::agreement(&teacher.predicted(), &model.predicted()));
        values.insert(Metric::Kl, against::kl(teacher, model));
    }
    values
}

fn describe(model: &Predictions, scored: &Scored, values: BTreeMap<Metric, f64>) -> ModelReport {
    let confusion = scored.confusion();
    let temperature = scored.temperature();
    let figure = |(metric, value)| (metric, Figure { value, interval: None });
    let mut report = ModelReport {
        role: model.role,
        cost: model.cost,
        rounds: model.rounds.clone(),
        metrics: values.into_iter().map(figure).collect(),
        calibration: Some(Calibration { temperature, bins: calibration::bins(scored, 1.0) }),
        curves: ranking::curves(scored),
        classes: class_figures(&confusion.tally(), model.label_map.names()),
        ..ModelReport::new(model.name.clone())
    };
    report.set_confusion(&confusion);
    report
}

/// Always answering the most frequent label of these rows.
fn constant(scored: &Scored, model: &Predictions) -> ConstantAnswer {
    let tally = scored.confusion().tally();
    let label = tally.most_frequent();
    let values = classification::metrics(&tally.always(label)).into_iter();
    ConstantAnswer {
        labels: vec![model.label_map.name(label).unwrap_or_default().to_owned()],
        value: None,
        metrics: values.map(|(metric, value)| (metric, Figure { value, interval: None })).collect(),
    }
}

fn rows_hash(model: &Predictions) -> String {
    let label = |label: &Option<Label<i32>>| match label {
        None => String::new(),
        Some(Label::Class(class)) => class.to_string(),
        Some(Label::Classes(classes)) => {
            classes.iter().map(|class| format!("{class}|")).collect::<String>() + "|"
        }
        Some(label @ (Label::Tags(_) | Label::Spans(_))) => {
            let number = |number: &Option<i32>| number.map_or("|".to_owned(), |number| format!("{number}|"));
            label.integers().iter().map(number).collect::<String>() + "|"
        }
        Some(Label::Value(value)) => value.to_string(),
    };
    let labels: Vec<String> = model.labels.iter().map(label).collect();
    parts_hash(model.ids.iter().map(String::as_str).zip(labels.iter().map(String::as_str)))
}
