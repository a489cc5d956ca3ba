//! The sentence at the top of every document.

use crate::build::findings::signed;
use crate::build::rounds;
use crate::documents::format::{number, percent, times};
use crate::predictions::Role;
use crate::report::{DataReport, Finding, ModelReport, Outcome, Verdict};

/// The verdict: what the gates say, serious findings, and what the first student keeps of its teacher on the first
/// data set.
pub fn verdict(outcome: Outcome, data: &[DataReport], findings: &[Finding]) -> Verdict {
    let serious: Vec<&Finding> = findings.iter().filter(|finding| finding.is_serious).collect();
    let mut sentences: Vec<String> =
        serious.iter().take(FINDINGS).map(|finding| finding_sentence(finding, data)).collect();
    if serious.len() > FINDINGS {
        sentences.push(format!("There are {} more findings as serious", serious.len() - FINDINGS));
    }
    if let Some(set) = data.first() {
        let model = set.with_role(Role::Student).or(set.models.first());
        sentences.extend(model.map(|model| sentence(set, model)));
        sentences.extend(model.and_then(|model| gain_sentence(set, model)));
    }
    Verdict { outcome, text: sentences.join(". "), has_serious_finding: !serious.is_empty() }
}

/// Findings that stand in the verdict itself.
const FINDINGS: usize = 4;

/// A finding, with the data set where it is not the first.
fn finding_sentence(finding: &Finding, data: &[DataReport]) -> String {
    let is_first = finding.data.as_ref().is_none_or(|name| data.first().is_some_and(|set| set.name == *name));
    let name = finding.data.as_deref().unwrap_or_default();
    if is_first { finding.text.clone() } else { format!("On {name}, {}", finding.text) }
}

/// What the teacher was worth: how much better the student is than the same one trained without it.
fn gain_sentence(set: &DataReport, model: &ModelReport) -> Option<String> {
    let against = model.against_baseline.as_ref()?;
    let [metric, _] = set.headlines();
    let gain = against.gain.get(&metric)?;
    let shown = if gain.interval.is_some() && !gain.is_shown { ", not shown" } else { "" };
    let (baseline, gain) = (&against.baseline, signed(gain));
    let title = metric.title();
    Some(format!("Gain over the same student without a teacher ({baseline}): {gain} {title}{shown}"))
}

fn sentence(set: &DataReport, model: &ModelReport) -> String {
    let [headline, _] = set.headlines();
    let title = headline.title();
    let accuracy = |model: &ModelReport| model.value(headline).map(number).unwrap_or_default();
    let against = model.against_teacher.as_ref();
    let teacher = set.with_role(Role::Teacher);
    let kept = against.and_then(|against| against.kept.get(&headline)).map(|kept| kept.value);
    let (Some(against), Some(teacher), Some(kept)) = (against, teacher, kept) else {
        return format!(
            "{} has {title} {} on {} rows of {}",
            model.name,
            accuracy(model),
            set.labelled,
            set.name
        );
    };
    let mut text = format!(
        "{} keeps {} of the {title} of {} ({} of {})",
        model.name,
        percent(kept),
        teacher.name,
        accuracy(model),
        accuracy(teacher)
    );
    if let Some(speed_up) = against.speed_up {
        text.push_str(&format!(" at {} its speed", times(speed_up)));
        if let Some(range) = against.speed_up_interval.filter(|range| rounds::disagree(*range)) {
            text.push_str(&format!(" ({}, the rounds disagree)", range.map(times).join(" to ")));
        }
    }
    if let Some((own, its)) = model.cost.zip(teacher.cost).filter(|(_, its)| its.parameters > 0) {
        let share = own.parameters as f64 / its.parameters as f64;
        text.push_str(&format!(" with {} of its parameters", percent(share)));
    }
    text
}
