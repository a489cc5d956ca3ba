//! Gates applied to measured figures.

use super::quantity::Quantity;
use super::{Gate, GateError, GateOutcome, GateState};
use crate::documents::format::number;
use crate::metrics::against;
use crate::predictions::Role;
use crate::report::{DataReport, ModelReport};

/// Applies every gate to every data set and model that it is about, in that order.
///
/// # Errors
/// [`GateError::Unknown`] for a name that the report does not have, [`GateError::Missing`] where
/// no model plays the part that a gate needs.
pub fn evaluate(gates: &[Gate], data: &[DataReport]) -> Result<Vec<GateOutcome>, GateError> {
    let mut outcomes = Vec::new();
    for gate in gates {
        for set in data_sets(gate, data)? {
            for model in models(gate, set)? {
                outcomes.push(judge(gate, set, model, measure(gate, set, model)?));
            }
        }
    }
    Ok(outcomes)
}

fn judge(gate: &Gate, set: &DataReport, model: &ModelReport, value: Option<f64>) -> GateOutcome {
    let passed = value.is_some_and(|value| gate.comparison.holds(value, gate.threshold));
    let measured = match value {
        Some(value) => number(value),
        None => "undefined on these rows".to_owned(),
    };
    let (words, threshold) = (gate.comparison.words(), number(gate.threshold));
    GateOutcome {
        gate: gate.text.clone(),
        data: set.name.clone(),
        model: model.name.clone(),
        state: if passed { GateState::Passed } else { GateState::Failed },
        passed,
        value,
        threshold: gate.threshold,
        text: format!("{}: {} is {measured}, {words} {threshold} was asked for", model.name, gate.quantity),
    }
}

fn data_sets<'a>(gate: &Gate, data: &'a [DataReport]) -> Result<Vec<&'a DataReport>, GateError> {
    let Some(name) = &gate.data else {
        return Ok(data.iter().collect());
    };
    let found: Vec<&DataReport> = data.iter().filter(|set| set.name == *name).collect();
    if found.is_empty() {
        return Err(unknown(gate, "data set", name, data.iter().map(|set| &set.name)));
    }
    Ok(found)
}

fn models<'a>(gate: &Gate, set: &'a DataReport) -> Result<Vec<&'a ModelReport>, GateError> {
    if let Some(name) = &gate.model {
        return Ok(vec![named(gate, set, name)?]);
    }
    if let [only] = set.models.as_slice() {
        return Ok(vec![only]);
    }
    let students: Vec<&ModelReport> = set.models.iter().filter(|model| model.role == Role::Student).collect();
    if students.is_empty() {
        return Err(missing(
            gate,
            "no model is the student; name the model that it is about, as in `NAME:accuracy >= 0.9`",
        ));
    }
    Ok(students)
}

fn measure(gate: &Gate, set: &DataReport, model: &ModelReport) -> Result<Option<f64>, GateError> {
    let own = |metric| model.metrics.get(&metric).map(|figure| figure.value);
    let reference = || match &gate.against {
        Some(name) => named(gate, set, name),
        None => {
            set.with_role(Role::Teacher).ok_or_else(|| missing(gate, "there is no teacher to compare with"))
        }
    };
    Ok(match gate.quantity {
        Quantity::Metric(metric) if metric.needs_teacher() && set.with_role(Role::Teacher).is_none() => {
            return Err(missing(gate, "there is no teacher to compare with"));
        }
        Quantity::Metric(metric) => own(metric),
        Quantity::Kept(metric) => {
            let theirs = reference()?.value(metric);
            own(metric).zip(theirs).and_then(|(model, theirs)| against::kept(model, theirs))
        }
        Quantity::Drop(metric) => {
            let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
            own(metric).zip(reference()?.value(metric)).map(|(model, theirs)| sign * (theirs - model))
        }
        Quantity::GapClosed(metric) => {
            let (teacher, baseline) = (set.with_role(Role::Teacher), set.with_role(Role::Baseline));
            let (Some(teacher), Some(baseline)) = (teacher, baseline) else {
                return Err(missing(
                    gate,
                    "it needs a teacher and a student trained without one (the baseline)",
                ));
            };
            let values = own(metric).zip(baseline.value(metric)).zip(teacher.value(metric));
            values.and_then(|((model, baseline), teacher)| against::gap_closed(model, baseline, teacher))
        }
    })
}

fn named<'a>(gate: &Gate, set: &'a DataReport, name: &str) -> Result<&'a ModelReport, GateError> {
    set.models
        .iter()
        .find(|model| model.name == name)
        .ok_or_else(|| unknown(gate, "model", name, set.models.iter().map(|model| &model.name)))
}

fn unknown<'a>(
    gate: &Gate,
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> GateError {
    let known = known.cloned().collect::<Vec<_>>().join(", ");
    GateError::Unknown { gate: gate.text.clone(), what, name: name.to_owned(), known }
}

fn missing(gate: &Gate, problem: &str) -> GateError {
    GateError::Missing { gate: gate.text.clone(), problem: problem.to_owned() }
}
