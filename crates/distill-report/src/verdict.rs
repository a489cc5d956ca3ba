//! The sentence at the top of every document.

use crate::documents::format::{number, percent, times};
use crate::predictions::Role;
use crate::report::{DataReport, ModelReport, Outcome, Verdict};

/// The verdict: what the gates say, and what the first student keeps of its teacher on the first data set.
pub fn verdict(outcome: Outcome, data: &[DataReport]) -> Verdict {
    let Some(set) = data.first() else { return Verdict { outcome, text: String::new() } };
    let model = set.with_role(Role::Student).or(set.models.first());
    Verdict { outcome, text: model.map(|model| sentence(set, model)).unwrap_or_default() }
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
    }
    if let Some((own, its)) = model.cost.zip(teacher.cost).filter(|(_, its)| its.parameters > 0) {
        let share = own.parameters as f64 / its.parameters as f64;
        text.push_str(&format!(" with {} of its parameters", percent(share)));
    }
    text
}
