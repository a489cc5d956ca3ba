//! Gates applied to measured figures.

use super::baseline::{self, Baselines};
use super::quantity::{ClassFigure, CostFigure, Quantity};
use super::{Gate, GateError, GateOutcome, GateState, number};
use crate::build::{Measured, compare, rounds};
use crate::metrics::Metric;
use crate::predictions::Role;
use crate::report::{DataReport, ModelReport};
use crate::settings::{ReportSettings, Undecided};
use crate::stats::Sample;

/// Applies every gate to every data set and model that it is about, in that order.
///
/// # Errors
/// [`GateError::Unknown`] for a name that the report does not have, [`GateError::Missing`] where
/// no model plays the part that a gate needs or nothing was measured that it could judge.
pub fn evaluate(
    gates: &[Gate],
    data: &[Measured],
    baselines: &Baselines,
    settings: &ReportSettings,
) -> Result<Vec<GateOutcome>, GateError> {
    let mut outcomes = Vec::new();
    for gate in gates {
        for set in data_sets(gate, data)? {
            for model in models(gate, &set.report)? {
                let subject = Subject { gate, set, model, baselines };
                outcomes.push(subject.judge(subject.measure(settings.confidence)?, settings)?);
            }
        }
    }
    Ok(outcomes)
}

/// What `vs` calls the best answer that is always the same, unless a model has that name.
pub(super) const CONSTANT: &str = "constant";

/// A gate, and the model on the data set that it is applied to.
struct Subject<'a> {
    gate: &'a Gate,
    set: &'a Measured,
    model: &'a ModelReport,
    baselines: &'a Baselines,
}

impl Subject<'_> {
    fn judge(&self, sample: Option<Sample>, settings: &ReportSettings) -> Result<GateOutcome, GateError> {
        let gate = self.gate;
        let rounds = self.rounds();
        let interval = sample.as_ref().and_then(|sample| sample.interval(settings.confidence)).or(rounds);
        let is_confident = gate.is_confident || rounds.is_some_and(rounds::disagree);
        let value = sample.map(|sample| sample.value);
        let state = match (value, interval) {
            (Some(_), None) if is_confident => {
                return Err(missing(
                    gate,
                    "there is no interval to be confident with: sizes and untimed costs have none, and `resamples` must \
                     not be 0",
                ));
            }
            (Some(_), Some(interval)) if is_confident => confident_state(gate, interval),
            (Some(value), _) if gate.comparison.holds(value, gate.threshold) => GateState::Passed,
            _ => GateState::Failed,
        };
        let passed = match state {
            GateState::Passed => true,
            GateState::Failed => false,
            GateState::Undecided => settings.undecided == Undecided::Pass,
        };
        Ok(GateOutcome {
            gate: gate.text.clone(),
            data: self.set.report.name.clone(),
            model: self.model.name.clone(),
            state,
            passed,
            value,
            interval,
            threshold: gate.threshold,
            text: self.sentence(value, interval)
                + if rounds.is_some_and(rounds::disagree) { "; the rounds of the timing disagree" } else { "" },
        })
    }

    fn sentence(&self, value: Option<f64>, interval: Option<[f64; 2]>) -> String {
        let Gate { quantity, comparison, threshold, .. } = self.gate;
        let show = |value| number::show(value, quantity.unit());
        let measured = match (value, interval) {
            (None, _) if matches!(quantity, Quantity::GapClosed(_)) => {
                "undefined, because the teacher is not shown to be better than the baseline (no gap to close)"
                    .to_owned()
            }
            (None, _) => "undefined on these rows".to_owned(),
            (Some(value), Some([low, high])) => format!("{} [{}, {}]", show(value), show(low), show(high)),
            (Some(value), None) => show(value),
        };
        let wanted = format!("{} {} was asked for", comparison.words(), show(*threshold));
        format!("{}: {quantity} is {measured}, {wanted}", self.model.name)
    }

    fn measure(&self, confidence: f64) -> Result<Option<Sample>, GateError> {
        let (gate, set, name) = (self.gate, self.set, self.model.name.as_str());
        Ok(match &gate.quantity {
            Quantity::Metric(metric) => {
                if metric.needs_teacher() {
                    teacher(gate, &set.report)?;
                }
                set.sample(name, *metric)
            }
            Quantity::Kept(metric) => compare::kept(set, name, &self.reference()?.name, *metric),
            Quantity::Drop(metric) => compare::drop(set, name, &self.reference()?.name, *metric),
            Quantity::GapClosed(metric) => {
                let (baseline, teacher) = (&self.baseline()?.name, &teacher(gate, &set.report)?.name);
                match compare::has_gap(set, baseline, teacher, *metric, confidence) {
                    Some(true) => compare::gap_closed(set, name, baseline, teacher, *metric),
                    _ => None,
                }
            }
            Quantity::Gain(metric) => self.gain(*metric)?,
            Quantity::Class(figure, label) => Some(self.class(*figure, label)?),
            Quantity::Cost(figure) => {
                let value = self.cost(*figure)?;
                Some(Sample { value, draws: Vec::new() })
            }
            Quantity::Regression(metric) => self.regression(*metric)?,
        })
    }

    fn reference(&self) -> Result<&ModelReport, GateError> {
        match &self.gate.against {
            Some(name) => named(self.gate, &self.set.report, name),
            None => teacher(self.gate, &self.set.report),
        }
    }

    fn baseline(&self) -> Result<&ModelReport, GateError> {
        compare::baseline_of(&self.set.report, &self.model.name)
            .ok_or_else(|| missing(self.gate, "it needs a student trained without a teacher (the baseline)"))
    }

    /// By how much the model is better than the baseline, than the model after `vs`, or than always giving one answer.
    fn gain(&self, metric: Metric) -> Result<Option<Sample>, GateError> {
        let (set, name) = (self.set, self.model.name.as_str());
        let other = match self.gate.against.as_deref() {
            Some(CONSTANT) if set.report.model(CONSTANT).is_none() => {
                return Ok(compare::gain_over_constant(set, name, metric));
            }
            Some(other) => named(self.gate, &set.report, other)?,
            None => self.baseline()?,
        };
        Ok(compare::gain(set, name, &other.name, metric))
    }

    fn class(&self, figure: ClassFigure, label: &str) -> Result<Sample, GateError> {
        if self.model.classes.is_empty() {
            return Err(missing(self.gate, &format!("{} has no classes", self.set.report.problem_type)));
        }
        if figure.is_of_entities() && self.model.entity_errors.is_none() {
            return Err(missing(self.gate, "the labels of these rows are no entities"));
        }
        let classes = &self.model.classes;
        let at = classes.iter().position(|known| known.label == label);
        let known = classes.iter().map(|class| &class.label);
        let what = if self.model.entity_errors.is_some() { "entity type" } else { "label" };
        let at = at.ok_or_else(|| unknown(self.gate, what, label, known))?;
        let value = match figure {
            ClassFigure::Precision | ClassFigure::EntityPrecision => classes[at].precision,
            ClassFigure::Recall | ClassFigure::EntityRecall => classes[at].recall,
            ClassFigure::F1 | ClassFigure::EntityF1 => classes[at].f1,
        };
        let draws = match figure {
            ClassFigure::F1 | ClassFigure::EntityF1 => self.set.class_f1_draws(&self.model.name, at),
            _ => Vec::new(),
        };
        Ok(Sample { value, draws })
    }

    fn cost(&self, figure: CostFigure) -> Result<f64, GateError> {
        let unmeasured = || missing(self.gate, "the model's cost was not measured");
        let cost = self.model.cost.ok_or_else(unmeasured)?;
        let untimed = || missing(self.gate, "the model's speed was not measured");
        let latency = || cost.latency.ok_or_else(|| missing(self.gate, "the model's latency was not measured"));
        Ok(match figure {
            CostFigure::LatencyP50 => latency()?.p50_ms,
            CostFigure::LatencyP95 => latency()?.p95_ms,
            CostFigure::LatencyP99 => latency()?.p99_ms,
            CostFigure::RowsPerSecond => cost.rows_per_second.ok_or_else(untimed)?,
            CostFigure::Parameters => cost.parameters as f64,
            CostFigure::Bytes => cost.bytes as f64,
            CostFigure::SpeedUp => {
                let teacher = teacher(self.gate, &self.set.report)?;
                teacher.cost.ok_or_else(unmeasured)?;
                rounds::speed_up(self.model, teacher).ok_or_else(untimed)?
            }
        })
    }

    /// The smallest and the largest value of what was timed in rounds; none for anything else.
    fn rounds(&self) -> Option<[f64; 2]> {
        let Quantity::Cost(figure) = self.gate.quantity else { return None };
        let model = self.model;
        rounds::range(&match figure {
            CostFigure::LatencyP50 => rounds::values(model, rounds::latency(|latency| latency.p50_ms)),
            CostFigure::LatencyP95 => rounds::values(model, rounds::latency(|latency| latency.p95_ms)),
            CostFigure::LatencyP99 => rounds::values(model, rounds::latency(|latency| latency.p99_ms)),
            CostFigure::RowsPerSecond => rounds::values(model, |round| round.rows_per_second),
            CostFigure::SpeedUp => rounds::speed_ups(model, self.set.report.with_role(Role::Teacher)?),
            CostFigure::Parameters | CostFigure::Bytes => Vec::new(),
        })
    }

    /// The drop since the earlier report; of several metrics the largest.
    fn regression(&self, metric: Option<Metric>) -> Result<Option<Sample>, GateError> {
        let earlier = baseline::counterpart(self.gate, self.baselines, &self.set.report, self.model)?;
        let metrics = metric.map_or_else(|| self.set.report.headlines().to_vec(), |metric| vec![metric]);
        let drop = |metric: Metric| {
            let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
            let before = Sample { value: earlier.value(metric)?, draws: Vec::new() };
            let mut now = self.set.sample(&self.model.name, metric)?;
            now.draws.iter_mut().for_each(|value| *value = sign * (before.value - *value));
            now.value = sign * (before.value - now.value);
            Some(now)
        };
        Ok(metrics.into_iter().filter_map(drop).max_by(|left, right| left.value.total_cmp(&right.value)))
    }
}

/// Passed where the whole interval is on the right side, failed where none of it is.
fn confident_state(gate: &Gate, interval: [f64; 2]) -> GateState {
    match interval.map(|end| gate.comparison.holds(end, gate.threshold)) {
        [true, true] => GateState::Passed,
        [false, false] => GateState::Failed,
        _ => GateState::Undecided,
    }
}

fn data_sets<'a>(gate: &Gate, data: &'a [Measured]) -> Result<Vec<&'a Measured>, GateError> {
    let Some(name) = &gate.data else {
        return Ok(data.iter().collect());
    };
    let found: Vec<&Measured> = data.iter().filter(|set| set.report.name == *name).collect();
    if found.is_empty() {
        return Err(unknown(gate, "data set", name, data.iter().map(|set| &set.report.name)));
    }
    Ok(found)
}

fn models<'a>(gate: &Gate, set: &'a DataReport) -> Result<Vec<&'a ModelReport>, GateError> {
    if let Some(name) = &gate.model {
        // The name of a model that was given with several seeds stands for each of them.
        if let Some(seeds) = set.seeds.iter().find(|seeds| seeds.name == *name) {
            return seeds.models.iter().map(|model| named(gate, set, model)).collect();
        }
        return Ok(vec![named(gate, set, name)?]);
    }
    if let [only] = set.models.as_slice() {
        return Ok(vec![only]);
    }
    let students: Vec<&ModelReport> = set.models.iter().filter(|model| model.role == Role::Student).collect();
    if students.is_empty() {
        let problem = "no model is the student; name the model that it is about, as in `NAME:accuracy >= 0.9`";
        return Err(missing(gate, problem));
    }
    Ok(students)
}

fn teacher<'a>(gate: &Gate, set: &'a DataReport) -> Result<&'a ModelReport, GateError> {
    set.with_role(Role::Teacher).ok_or_else(|| missing(gate, "there is no teacher to compare with"))
}

fn named<'a>(gate: &Gate, set: &'a DataReport, name: &str) -> Result<&'a ModelReport, GateError> {
    set.model(name).ok_or_else(|| unknown(gate, "model", name, set.models.iter().map(|model| &model.name)))
}

pub(super) fn unknown<'a>(
    gate: &Gate,
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> GateError {
    let known = known.cloned().collect::<Vec<_>>().join(", ");
    GateError::Unknown { gate: gate.text.clone(), what, name: name.to_owned(), known }
}

pub(super) fn missing(gate: &Gate, problem: &str) -> GateError {
    GateError::Missing { gate: gate.text.clone(), problem: problem.to_owned() }
}
