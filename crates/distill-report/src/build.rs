//! From predictions to a report. Nothing is written here.

use std::collections::BTreeMap;

use distill_core::hash::parts_hash;

use crate::align::align;
use crate::error::ReportError;
use crate::gates::{self, Gate};
use crate::metrics::{self, Metric, Scored, against, class_figures};
use crate::predictions::{Predictions, Role};
use crate::report::{AgainstTeacher, DataReport, Figure, ModelReport, Outcome, Report, SCHEMA_VERSION};
use crate::settings::ReportSettings;
use crate::verdict;

/// One data set with the predictions of every model on it.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// What to call it in the report.
    pub name: String,
    /// The models' predictions, in any row order.
    pub predictions: Vec<Predictions>,
}

/// Measures every model on every data set and applies the gates.
///
/// # Errors
/// Everything in [`ReportError`] that has to do with rows, models and gates.
pub fn build(data: Vec<DataSet>, settings: &ReportSettings) -> Result<Report, ReportError> {
    // Gates first: a misspelt one is wrong usage, found before any work.
    let gates: Vec<Gate> = settings.gates.iter().map(|gate| Gate::parse(gate)).collect::<Result<_, _>>()?;
    if data.is_empty() {
        return Err(ReportError::NoModels);
    }
    let mut sets: Vec<DataReport> = Vec::with_capacity(data.len());
    for set in data {
        if sets.iter().any(|earlier| earlier.name == set.name) {
            return Err(ReportError::DuplicateName { what: "data sets", name: set.name });
        }
        sets.push(measure_set(set)?);
    }
    let outcomes = gates::evaluate(&gates, &sets)?;
    let outcome = match outcomes.iter().all(|gate| gate.passed) {
        _ if outcomes.is_empty() => Outcome::NoGates,
        true => Outcome::Passed,
        false => Outcome::Failed,
    };
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        program: concat!("distill ", env!("CARGO_PKG_VERSION")).to_owned(),
        verdict: verdict::verdict(outcome, &sets),
        gates: outcomes,
        data: sets,
    })
}

fn measure_set(set: DataSet) -> Result<DataReport, ReportError> {
    let models = align(set.predictions)?;
    let Some(first) = models.first() else { return Err(ReportError::NoModels) };
    let mut teachers = models.iter().filter(|model| model.role == Role::Teacher);
    let teacher = teachers.next();
    if let (Some(first), Some(second)) = (teacher, teachers.next()) {
        let (first, second) = (first.name.clone(), second.name.clone());
        return Err(ReportError::TwoTeachers { first, second });
    }
    let mut report = DataReport {
        name: set.name,
        rows: first.rows(),
        labelled: first.labels.iter().flatten().count(),
        rows_hash: rows_hash(first),
        labels: first.label_map.names().to_vec(),
        models: models.iter().map(|model| measure(model, teacher)).collect(),
    };
    compare_with_teacher(&mut report);
    Ok(report)
}

fn measure(model: &Predictions, teacher: Option<&Predictions>) -> ModelReport {
    let scored = Scored::new(model);
    let confusion = scored.confusion();
    let mut metrics: BTreeMap<Metric, Figure> =
        metrics::all(&scored).into_iter().map(|(metric, value)| (metric, Figure { value })).collect();
    if let Some(teacher) = teacher.filter(|teacher| teacher.name != model.name) {
        let agreement = against::agreement(&teacher.predicted(), &model.predicted());
        metrics.insert(Metric::Agreement, Figure { value: agreement });
        metrics.insert(Metric::Kl, Figure { value: against::kl(teacher, model) });
    }
    ModelReport {
        name: model.name.clone(),
        role: model.role,
        cost: model.cost,
        metrics,
        against_teacher: None,
        classes: class_figures(&confusion, model.label_map.names()),
        confusion: confusion.rows(),
    }
}

fn compare_with_teacher(report: &mut DataReport) {
    let Some(teacher) = report.with_role(Role::Teacher).cloned() else { return };
    let baseline = report.with_role(Role::Baseline).cloned();
    let shared: Vec<Metric> =
        teacher.metrics.keys().copied().filter(|metric| metric.higher_is_better()).collect();
    for model in report.models.iter_mut().filter(|model| model.role != Role::Teacher) {
        let kept = |metric: &Metric| {
            let share = against::kept(model.value(*metric)?, teacher.value(*metric)?)?;
            Some((*metric, share))
        };
        let gap_closed = |metric: &Metric| {
            let baseline = baseline.as_ref().filter(|baseline| baseline.name != model.name)?.value(*metric)?;
            let share = against::gap_closed(model.value(*metric)?, baseline, teacher.value(*metric)?)?;
            Some((*metric, share))
        };
        let speed_up = model.cost.zip(teacher.cost).map(|(own, its)| own.rows_per_second / its.rows_per_second);
        model.against_teacher = Some(AgainstTeacher {
            teacher: teacher.name.clone(),
            kept: shared.iter().filter_map(kept).collect(),
            gap_closed: shared.iter().filter_map(gap_closed).collect(),
            speed_up,
        });
    }
}

fn rows_hash(model: &Predictions) -> String {
    let labels: Vec<String> =
        model.labels.iter().map(|label| label.map(|label| label.to_string()).unwrap_or_default()).collect();
    parts_hash(model.ids.iter().map(String::as_str).zip(labels.iter().map(String::as_str)))
}
