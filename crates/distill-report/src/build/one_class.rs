//! Data sets whose rows have one class: figures from counts of pairs, probabilities and ranks.

use std::collections::BTreeMap;

use distill_core::StopSignal;

use super::judgement::Judgement;
use super::{compare, errors, slices};
use crate::metrics::{self, Metric, Scored, against, calibration, class_figures, classification, ranking};
use crate::predictions::Predictions;
use crate::report::{Calibration, ConstantAnswer, DataReport, Figure, ModelReport};
use crate::settings::ReportSettings;
use crate::stats::{Draws, draws};

/// Models with their labelled rows and metrics, in the order given.
pub(crate) struct OneClass<'a> {
    models: &'a [Predictions],
    scored: Vec<Scored<'a>>,
    values: Vec<BTreeMap<Metric, f64>>,
}

impl<'a> OneClass<'a> {
    /// Judges models that were aligned.
    pub fn new(models: &'a [Predictions], teacher: Option<&Predictions>) -> Self {
        let scored: Vec<Scored> = models.iter().map(Scored::new).collect();
        let values =
            models.iter().zip(&scored).map(|(model, scored)| metrics_of(model, scored, teacher)).collect();
        OneClass { models, scored, values }
    }
}

impl Judgement for OneClass<'_> {
    fn draws(&self, settings: &ReportSettings, stop: &StopSignal) -> Draws {
        draws::draw(self.models, &self.scored, &self.values, settings.seed, settings.resamples, stop)
    }

    fn report(&self, name: String, rows_hash: String, settings: &ReportSettings) -> DataReport {
        let (models, scored, first) = (self.models, &self.scored, &self.models[0]);
        let reports = models.iter().zip(scored).zip(&self.values);
        DataReport {
            name,
            problem_type: first.problem_type,
            rows: first.rows(),
            labelled: scored.first().map_or(0, Scored::len),
            rows_hash,
            labels: first.label_map.names().to_vec(),
            models: reports.map(|((model, scored), values)| describe(model, scored, values)).collect(),
            constant: scored.first().map(|scored| constant(scored, first)),
            comparisons: Vec::new(),
            seeds: compare::seeds(models, &self.values.iter().collect::<Vec<_>>(), settings.confidence),
            slices: slices::slices(models, scored, settings),
            errors: errors::errors(models, scored, settings.listed),
        }
    }

    fn right(&self) -> Vec<Vec<bool>> {
        let right = |scored: &Scored| (0..scored.len()).map(|at| scored.is_correct(at)).collect();
        self.scored.iter().map(right).collect()
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

fn describe(model: &Predictions, scored: &Scored, values: &BTreeMap<Metric, f64>) -> ModelReport {
    let confusion = scored.confusion();
    let temperature = scored.temperature();
    let figure = |(metric, value): (&Metric, &f64)| (*metric, Figure { value: *value, interval: None });
    let mut report = ModelReport {
        role: model.role,
        cost: model.cost,
        rounds: model.rounds.clone(),
        metrics: values.iter().map(figure).collect(),
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
