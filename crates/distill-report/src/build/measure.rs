//! One data set: every model's figures with their intervals.

use distill_core::StopSignal;
use distill_core::hash::parts_hash;
use distill_task::Label;

use super::{DataSet, compare};
use crate::align::align;
use crate::error::ReportError;
use crate::kinds;
use crate::metrics::Metric;
use crate::predictions::{Predictions, Role};
use crate::report::DataReport;
use crate::settings::ReportSettings;
use crate::stats::{Draws, Sample, percentile_interval};

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
        let teacher = only_teacher(&models)?;
        let Some(first) = models.first() else { return Err(ReportError::NoModels) };
        let judged = kinds::of(first.problem_type).judge(&models, teacher);
        stop.check()?;
        let draws = (settings.resamples > 0).then(|| judged.draws(settings, stop));
        stop.check()?;
        let report = judged.report(set.name, rows_hash(&models[0]), settings);
        let mut measured = Measured { report, draws };
        measured.add_intervals(settings.confidence);
        compare::compare(&mut measured, &judged.right(), settings.confidence);
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
