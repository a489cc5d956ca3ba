//! What a reader has to know before the figures: a teacher that knows no more than which label is frequent, a student
//! that gives one answer, a student that is better without the teacher.

use crate::documents::format::number;
use crate::metrics::Metric;
use crate::predictions::Role;
use crate::report::{ConstantAnswer, DataReport, Difference, Finding, FindingKind, ModelReport};

/// All findings of a data set, the most serious first; of several seeds of a model one for all.
pub fn findings(report: &DataReport) -> Vec<Finding> {
    let subjects: Vec<&ModelReport> = subjects(report);
    let mut found = Vec::new();
    let mut once = |findings: Vec<Finding>| {
        let (first, others) = (findings.first().cloned(), findings.len().saturating_sub(1));
        found.extend(first.map(|mut first| {
            if others > 0 {
                first.text.push_str(&format!("; the same holds for {others} more of its seeds"));
            }
            first
        }));
    };
    let of_all =
        |of: &dyn Fn(&ModelReport) -> Option<Finding>| subjects.iter().filter_map(|model| of(model)).collect();
    once(of_all(&|model| baseline_is_better(report, model)));
    let teacher = report.with_role(Role::Teacher);
    let not_better = FindingKind::TeacherNotBetterThanConstant;
    once(
        teacher.and_then(|teacher| not_better_than_constant(report, teacher, not_better)).into_iter().collect(),
    );
    once(of_all(&|model| one_answer(report, model)));
    let not_better = FindingKind::StudentNotBetterThanConstant;
    // A student of one answer is never better than the best one: said once.
    let several = |model: &ModelReport| one_answer(report, model).is_none();
    once(of_all(&|model| not_better_than_constant(report, model, not_better).filter(|_| several(model))));
    once(teacher.and_then(|teacher| never_predicted(report, teacher)).into_iter().collect());
    found
}

/// The models that a verdict is about: the students, else the only model.
fn subjects(set: &DataReport) -> Vec<&ModelReport> {
    match set.models.as_slice() {
        [only] if only.role != Role::Teacher => vec![only],
        models => models.iter().filter(|model| model.role == Role::Student).collect(),
    }
}

fn baseline_is_better(set: &DataReport, model: &ModelReport) -> Option<Finding> {
    let against = model.against_baseline.as_ref()?;
    let baseline = set.model(&against.baseline)?;
    let gains = set.headlines().map(|metric| Some((metric, *against.gain.get(&metric)?)));
    let [first, second] = gains;
    // By the first figure any deficit counts, by the second only one that is shown.
    let is_lost = |(_, gain): &(Metric, Difference)| gain.value < 0.0;
    let (metric, gain) = first.filter(is_lost).or(second.filter(|pair| is_lost(pair) && pair.1.is_shown))?;
    let (own, other) = (model.value(metric)?, baseline.value(metric)?);
    let compared = compared(metric, [other, own], &negated(gain));
    let (student, baseline) = (&model.name, &baseline.name);
    let text = match gain.is_shown || gain.interval.is_none() {
        true => format!("{baseline}, the same student without a teacher, is better than {student}: {compared}"),
        false => format!(
            "{student} is not shown to be better than {baseline}, the same student without a teacher, which is ahead: \
             {compared}"
        ),
    };
    let advice =
        "distillation did not help: look at the teacher first (is it trained to its end, and is it much \
                  better than the student can be by itself?), then at soft_weight and temperature"
            .to_owned();
    Some(Finding {
        advice: Some(advice),
        ..finding(FindingKind::BaselineIsBetter, set, model, metric, &gain, text)
    })
}

fn not_better_than_constant(set: &DataReport, model: &ModelReport, kind: FindingKind) -> Option<Finding> {
    let constant = set.constant.as_ref()?;
    let (metric, gain) =
        set.headlines().into_iter().find_map(|metric| Some((metric, *model.over_constant.get(&metric)?)))?;
    if gain.value > 0.0 && (gain.is_shown || gain.interval.is_none()) {
        return None;
    }
    let compared = compared(metric, [model.value(metric)?, constant.metrics.get(&metric)?.value], &gain);
    let shown = if gain.value > 0.0 { "not shown to be better" } else { "not better" };
    let text = format!("{} is {shown} than {}: {compared}", model.name, always(constant));
    let advice = match kind {
        FindingKind::TeacherNotBetterThanConstant => {
            "a student learns nothing from this teacher: train it longer or on more rows, or choose another model"
        }
        _ => "train the student longer, or look at its learning rate and its labels",
    };
    Some(Finding { advice: Some(advice.to_owned()), ..finding(kind, set, model, metric, &gain, text) })
}

fn one_answer(set: &DataReport, model: &ModelReport) -> Option<Finding> {
    // Where words have tags, a class that is predicted as often as there are rows says nothing.
    let rows = (set.counted() == "rows").then_some(set.labelled as u64);
    let is_same = |predicted: u64| predicted == 0 || Some(predicted) == rows;
    if model.classes.is_empty() || !model.classes.iter().all(|class| is_same(class.predicted)) {
        return None;
    }
    let answered = model.classes.iter().filter(|class| class.predicted > 0);
    let labels: Vec<String> = answered.map(|class| class.label.clone()).collect();
    let answer = match labels.is_empty() {
        true => "no label".to_owned(),
        false => ConstantAnswer { labels, value: None, metrics: Default::default() }.words(),
    };
    let (metric, gain) =
        set.headlines().into_iter().find_map(|metric| Some((metric, *model.over_constant.get(&metric)?)))?;
    let text = format!("{} answers {answer} on every row", model.name);
    let advice =
        "it has learned nothing: train it longer, or look at its learning rate and its labels".to_owned();
    Some(Finding { advice: Some(advice), ..finding(FindingKind::OneAnswer, set, model, metric, &gain, text) })
}

fn never_predicted(set: &DataReport, teacher: &ModelReport) -> Option<Finding> {
    const SHOWN: usize = 3;
    let with_rows = || teacher.classes.iter().filter(|class| class.support > 0);
    let missed: Vec<_> = with_rows().filter(|class| class.predicted == 0).collect();
    if missed.is_empty() {
        return None;
    }
    let rows: u64 = missed.iter().map(|class| class.support).sum();
    let names: Vec<String> = missed.iter().take(SHOWN).map(|class| format!("\"{}\"", class.label)).collect();
    let more = if missed.len() > SHOWN { ", …" } else { "" };
    let counted = set.counted();
    let text = format!(
        "{} never predicts {} of the {} classes that have {counted} ({}{more}; {rows} {counted})",
        teacher.name,
        missed.len(),
        with_rows().count(),
        names.join(", ")
    );
    let advice = "a student cannot learn these classes from it: train the teacher longer, with best_metric = \
                  \"macro_f1\", class_weights or sampling for rare classes"
        .to_owned();
    Some(Finding {
        kind: FindingKind::ClassesNeverPredicted,
        is_serious: false,
        data: Some(set.name.clone()),
        model: teacher.name.clone(),
        metric: None,
        value: Some(missed.len() as f64),
        interval: None,
        text,
        advice: Some(advice),
    })
}

fn finding(
    kind: FindingKind,
    set: &DataReport,
    model: &ModelReport,
    metric: Metric,
    gain: &Difference,
    text: String,
) -> Finding {
    Finding {
        kind,
        is_serious: true,
        data: Some(set.name.clone()),
        model: model.name.clone(),
        metric: Some(metric),
        value: Some(gain.value),
        interval: gain.interval,
        text,
        advice: None,
    }
}

fn negated(gain: Difference) -> Difference {
    Difference { value: -gain.value, interval: gain.interval.map(|[low, high]| [-high, -low]), ..gain }
}

fn always(constant: &ConstantAnswer) -> String {
    match constant.value {
        Some(_) => format!("always giving {}", constant.words()),
        None => format!("always answering {}", constant.words()),
    }
}

/// `accuracy 0.9320 against 0.9050, +0.0270 (+0.0050 to +0.0490)`; the difference is how much better the first is.
fn compared(metric: Metric, [first, second]: [f64; 2], gain: &Difference) -> String {
    format!("{} {} against {}, {}", metric.title(), number(first), number(second), signed(gain))
}

/// `+0.0270 (+0.0050 to +0.0490)`.
pub fn signed(difference: &Difference) -> String {
    let interval = difference.interval.map(|[low, high]| format!(" ({low:+.4} to {high:+.4})"));
    format!("{:+.4}{}", difference.value, interval.unwrap_or_default())
}
