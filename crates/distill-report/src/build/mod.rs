//! From predictions to a report: [`measure`] each model, [`compare`] them, cut [`slices`], list [`errors`], apply the gates, say
//! what makes them mean less ([`mod@findings`]). Which `judgement` is made follows from the kind of label (`crate::kinds`):
//! `one_class`, or one from means over rows (`kinds`, with `rows_of_kinds` and `tagged_rows`). Nothing is written here.

pub mod compare;
pub mod errors;
pub mod findings;
pub(crate) mod judgement;
pub(crate) mod kinds;
pub mod measure;
pub(crate) mod one_class;
pub mod rounds;
mod rows_of_kinds;
pub mod slices;
mod tagged_rows;

pub use measure::Measured;

use distill_core::StopSignal;

use crate::error::ReportError;
use crate::gates::{self, Gate};
use crate::predictions::Predictions;
use crate::report::{Intervals, Outcome, Report, SCHEMA_VERSION};
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
/// Everything in [`ReportError`] that has to do with rows, models, settings and gates, and
/// [`ReportError::Stopped`] once `stop` was raised.
pub fn build(data: Vec<DataSet>, settings: &ReportSettings, stop: &StopSignal) -> Result<Report, ReportError> {
    // Settings and gates first: what is wrong with them is found before any work.
    settings.check()?;
    let gates: Vec<Gate> = settings.gates.iter().map(|gate| Gate::parse(gate)).collect::<Result<_, _>>()?;
    let baselines = gates::baseline::read_all(&gates)?;
    if data.is_empty() {
        return Err(ReportError::NoModels);
    }
    let mut sets: Vec<Measured> = Vec::with_capacity(data.len());
    for set in data {
        if sets.iter().any(|earlier| earlier.report.name == set.name) {
            return Err(ReportError::DuplicateName { what: "data sets", name: set.name });
        }
        sets.push(Measured::new(set, settings, stop)?);
    }
    let outcomes = gates::evaluate(&gates, &sets, &baselines, settings)?;
    let outcome = match outcomes.iter().all(|gate| gate.passed) {
        _ if outcomes.is_empty() => Outcome::NoGates,
        true => Outcome::Passed,
        false => Outcome::Failed,
    };
    let data: Vec<_> = sets.into_iter().map(|set| set.report).collect();
    let mut findings: Vec<_> = data.iter().flat_map(findings::findings).collect();
    // What a model costs does not depend on the data set.
    findings.extend(data.first().and_then(|set| rounds::unsteady(&set.models)));
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        program: concat!("distill ", env!("CARGO_PKG_VERSION")).to_owned(),
        verdict: verdict::verdict(outcome, &data, &findings),
        findings,
        about: None,
        intervals: Intervals {
            resamples: settings.resamples,
            confidence: settings.confidence,
            seed: settings.seed,
        },
        gates: outcomes,
        data,
        timing: None,
        training: Vec::new(),
    })
}
