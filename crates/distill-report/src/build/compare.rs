//! Models against each other: the teacher, every pair, several seeds of one model.

use std::collections::BTreeMap;

use super::{Measured, rounds};
use crate::metrics::{Metric, against};
use crate::predictions::{Predictions, Role};
use crate::report::{
    AgainstBaseline, AgainstTeacher, Comparison, DataReport, Difference, Figure, ModelReport, SeedSummary,
    Spread,
};
use crate::stats::{McNemar, Sample, student_t};

/// Fills in what stands in a report between models. `right` says by model of each labelled row whether it has that row
/// right; empty where rows have numbers.
pub fn compare(set: &mut Measured, right: &[Vec<bool>], confidence: f64) {
    let names: Vec<String> = set.report.models.iter().map(|model| model.name.clone()).collect();
    let against: Vec<Option<AgainstTeacher>> =
        names.iter().map(|name| against_teacher(set, name, confidence)).collect();
    set.report.models.iter_mut().zip(against).for_each(|(model, against)| model.against_teacher = against);
    let gains: Vec<Option<AgainstBaseline>> =
        names.iter().map(|name| against_baseline(set, name, confidence)).collect();
    set.report.models.iter_mut().zip(gains).for_each(|(model, gain)| model.against_baseline = gain);
    let over: Vec<_> = names.iter().map(|name| over_constant(set, name, confidence)).collect();
    set.report.models.iter_mut().zip(over).for_each(|(model, over)| model.over_constant = over);
    for (first, second) in pairs(names.len()) {
        let comparison = Comparison {
            first: names[first].clone(),
            second: names[second].clone(),
            differences: differences(set, &names[first], &names[second], confidence),
            mcnemar: right.get(first).zip(right.get(second)).map(|(first, second)| mcnemar(first, second)),
        };
        set.report.comparisons.push(comparison);
    }
}

fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |first| (first + 1..count).map(move |second| (first, second)))
}

fn figure(sample: &Sample, confidence: f64) -> Figure {
    Figure { value: sample.value, interval: sample.interval(confidence) }
}

fn against_teacher(set: &Measured, name: &str, confidence: f64) -> Option<AgainstTeacher> {
    let (teacher, model) = (set.report.with_role(Role::Teacher)?, set.report.model(name)?);
    if teacher.name == name {
        return None;
    }
    let baseline = baseline_of(&set.report, name).filter(|baseline| baseline.name != name);
    let shared = || teacher.metrics.keys().copied().filter(|metric| metric.higher_is_better());
    let kept = shared().filter_map(|metric| {
        let share = kept(set, name, &teacher.name, metric)?;
        Some((metric, figure(&share, confidence)))
    });
    let has_gap = |metric: &Metric| has_gap(set, &baseline?.name, &teacher.name, *metric, confidence);
    let closed = shared().filter(|metric| has_gap(metric) == Some(true)).filter_map(|metric| {
        let share = gap_closed(set, name, &baseline?.name, &teacher.name, metric)?;
        Some((metric, figure(&share, confidence)))
    });
    Some(AgainstTeacher {
        teacher: teacher.name.clone(),
        kept: kept.collect(),
        gap_closed: closed.collect(),
        no_gap: shared().filter(|metric| has_gap(metric) == Some(false)).collect(),
        speed_up: rounds::speed_up(model, teacher),
        speed_up_interval: rounds::range(&rounds::speed_ups(model, teacher)),
    })
}

/// Share of the teacher's figure that a model keeps.
pub fn kept(set: &Measured, model: &str, teacher: &str, metric: Metric) -> Option<Sample> {
    let share = |model, teacher| against::kept(model, teacher).unwrap_or(f64::NAN);
    set.sample(model, metric)?.with(&set.sample(teacher, metric)?, share)
}

/// By how much a model is worse than another, in the metric's own unit.
pub fn drop(set: &Measured, model: &str, other: &str, metric: Metric) -> Option<Sample> {
    let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
    set.sample(model, metric)?.with(&set.sample(other, metric)?, |model, other| sign * (other - model))
}

/// The student without a teacher that a model is compared with: of several seeds the one with the model's number.
pub fn baseline_of<'a>(set: &'a DataReport, model: &str) -> Option<&'a ModelReport> {
    let first = set.with_role(Role::Baseline)?;
    let group = |name: &str| set.seeds.iter().find(|group| group.models.iter().any(|one| one == name));
    let number = group(model).and_then(|group| group.models.iter().position(|one| one == model));
    let twin = number.zip(group(&first.name)).and_then(|(number, group)| set.model(group.models.get(number)?));
    Some(twin.filter(|twin| twin.role == Role::Baseline).unwrap_or(first))
}

/// By how much a model is better than another, in the metric's own unit: [`drop`] with the other sign.
pub fn gain(set: &Measured, model: &str, other: &str, metric: Metric) -> Option<Sample> {
    better(metric, set.sample(model, metric)?, &set.sample(other, metric)?)
}

/// By how much a model is better than the best answer that is always the same.
pub fn gain_over_constant(set: &Measured, model: &str, metric: Metric) -> Option<Sample> {
    better(metric, set.sample(model, metric)?, &set.constant_sample(metric)?)
}

fn better(metric: Metric, own: Sample, other: &Sample) -> Option<Sample> {
    let sign = if metric.higher_is_better() { 1.0 } else { -1.0 };
    own.with(other, |own, other| sign * (own - other))
}

/// Whether the teacher is shown to be better than the baseline; none where that is undefined.
pub fn has_gap(set: &Measured, baseline: &str, teacher: &str, metric: Metric, confidence: f64) -> Option<bool> {
    let gap = gain(set, teacher, baseline, metric)?;
    Some(gap.value > 0.0 && gap.interval(confidence).is_none_or(|[low, _]| low > 0.0))
}

fn difference(sample: &Sample, confidence: f64) -> Difference {
    let interval = sample.interval(confidence);
    let is_shown = interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0);
    Difference { value: sample.value, interval, is_shown }
}

fn against_baseline(set: &Measured, name: &str, confidence: f64) -> Option<AgainstBaseline> {
    let role = set.report.model(name)?.role;
    if matches!(role, Role::Teacher | Role::Baseline) {
        return None;
    }
    let baseline = &baseline_of(&set.report, name)?.name;
    let gain = |metric| Some((metric, difference(&gain(set, name, baseline, metric)?, confidence)));
    let metrics = Metric::all().filter(|metric| !metric.needs_teacher());
    Some(AgainstBaseline { baseline: baseline.clone(), gain: metrics.filter_map(gain).collect() })
}

fn over_constant(set: &Measured, name: &str, confidence: f64) -> BTreeMap<Metric, Difference> {
    let gain = |metric| Some((metric, difference(&gain_over_constant(set, name, metric)?, confidence)));
    set.report.headlines().into_iter().filter_map(gain).collect()
}

/// Share of the way from the baseline to the teacher.
pub fn gap_closed(
    set: &Measured,
    model: &str,
    baseline: &str,
    teacher: &str,
    metric: Metric,
) -> Option<Sample> {
    let base = set.sample(baseline, metric)?;
    let way = set.sample(model, metric)?.with(&base, |model, base| model - base)?;
    let gap = set.sample(teacher, metric)?.with(&base, |teacher, base| teacher - base)?;
    way.with(&gap, |way, gap| against::gap_closed(way, 0.0, gap).unwrap_or(f64::NAN))
}

fn differences(set: &Measured, first: &str, second: &str, confidence: f64) -> BTreeMap<Metric, Difference> {
    let difference = |metric: Metric| {
        let sample =
            set.sample(first, metric)?.with(&set.sample(second, metric)?, |left, right| left - right)?;
        Some((metric, self::difference(&sample, confidence)))
    };
    // Agreement and KL have the teacher on the other side already.
    Metric::all().filter(|metric| !metric.needs_teacher()).filter_map(difference).collect()
}

fn mcnemar(first: &[bool], second: &[bool]) -> McNemar {
    let count = |only: bool| {
        let pairs = first.iter().zip(second);
        pairs.filter(|(first, second)| **first == only && **second != only).count() as u64
    };
    McNemar::new(count(true), count(false))
}

/// Mean and spread of every group of seeds, in the order in which groups first occur.
pub fn seeds(models: &[Predictions], metrics: &[&BTreeMap<Metric, f64>], confidence: f64) -> Vec<SeedSummary> {
    let mut groups: Vec<SeedSummary> = Vec::new();
    let mut values: Vec<BTreeMap<Metric, Vec<f64>>> = Vec::new();
    for (model, metrics) in models.iter().zip(metrics) {
        let Some(group) = &model.seeds_of else { continue };
        let at = groups.iter().position(|known| known.name == *group).unwrap_or_else(|| {
            groups.push(SeedSummary { name: group.clone(), models: Vec::new(), metrics: BTreeMap::new() });
            values.push(BTreeMap::new());
            groups.len() - 1
        });
        groups[at].models.push(model.name.clone());
        for (metric, value) in metrics.iter().filter(|(metric, _)| !metric.needs_teacher()) {
            values[at].entry(*metric).or_default().push(*value);
        }
    }
    for (group, values) in groups.iter_mut().zip(values) {
        group.metrics =
            values.into_iter().map(|(metric, values)| (metric, spread(&values, confidence))).collect();
    }
    groups
}

fn spread(values: &[f64], confidence: f64) -> Spread {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let std = if values.len() < 2 { 0.0 } else { (squares / (count - 1.0)).sqrt() };
    let half = student_t::quantile(values.len().saturating_sub(1), confidence).map(|t| t * std / count.sqrt());
    Spread {
        mean,
        std,
        interval: half.map(|half| [mean - half, mean + half]),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    }
}
