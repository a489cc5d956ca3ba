//! Signs that a teacher was not trained to its end, from the course of its training.

use serde_json::Value;

use crate::documents::format::{number, percent};
use crate::predictions::Role;
use crate::report::{Finding, FindingKind, Report, TrainingCurves};

/// What to do about them.
pub const TRAIN_LONGER: &str = "what the teacher does not know, no student learns from it: train it longer (finetune.epochs), or with a higher \
     learning_rate";

/// By how much the validation loss has to fall in the last epoch for the run to have ended early.
const LOSS_FALL: f64 = 0.05;
/// The same of the share of wrong rows, which is coarser.
const ERROR_FALL: f64 = 0.1;
/// How many times the other's training loss a teacher's may be, and by how much more in nats.
const FAR_ABOVE: (f64, f64) = (1.5, 0.05);

/// Says by how much the validation part still got better in the last epoch; none where it did not, or where there was
/// only one epoch, which says nothing about it.
pub fn still_improving(run: &TrainingCurves) -> Option<String> {
    let name = &run.name;
    let fall = |what: &str, of: fn(f64) -> f64, least: f64| {
        let points = run.series.get(what)?;
        let (last, earlier) = points.split_last()?;
        let (last, before) =
            (of(last[1]), earlier.iter().map(|point| of(point[1])).fold(f64::INFINITY, f64::min));
        let share = 1.0 - last / before;
        (before.is_finite() && before > 0.0 && share > least).then_some((points.len(), before, last, share))
    };
    if let Some((epochs, before, last, share)) = fall("validation loss", |loss| loss, LOSS_FALL) {
        let (before, last, share) = (number(before), number(last), percent(share));
        return Some(format!(
            "{name} was still improving when its training ended: in the last of {epochs} epochs the validation loss fell \
             by {share}, from {before} to {last}"
        ));
    }
    let (epochs, before, last, _) = fall("validation accuracy", |accuracy| 1.0 - accuracy, ERROR_FALL)
        // Of few rows, one is more than a tenth of the errors.
        .filter(|(_, before, last, _)| before - last > 0.01)?;
    let (before, last) = (number(1.0 - before), number(1.0 - last));
    Some(format!(
        "{name} was still improving when its training ended: in the last of {epochs} epochs the validation accuracy rose \
         from {before} to {last}"
    ))
}

/// What the curves of a report say about its teacher.
pub fn findings(report: &Report) -> Vec<Finding> {
    let Some(set) = report.data.first() else { return Vec::new() };
    let Some(teacher) = set.with_role(Role::Teacher) else { return Vec::new() };
    let curves = |name: &str| report.training.iter().find(|run| run.name == name);
    let Some(run) = curves(&teacher.name) else { return Vec::new() };
    let finding = |kind, value, text| Finding {
        kind,
        is_serious: false,
        data: None,
        model: teacher.name.clone(),
        metric: None,
        value,
        interval: None,
        text,
        advice: Some(TRAIN_LONGER.to_owned()),
    };
    let mut found = Vec::new();
    found.extend(still_improving(run).map(|text| finding(FindingKind::StillImproving, None, text)));
    let others = set.models.iter().filter(|model| matches!(model.role, Role::Baseline | Role::Student));
    let reached = others
        .filter(|model| has_the_same_loss(report, &teacher.name, &model.name))
        .filter_map(|model| Some((model, last_loss(curves(&model.name)?)?)))
        .min_by(|left, right| left.1.total_cmp(&right.1));
    if let (Some((other, reached)), Some(own)) = (reached, last_loss(run))
        && own > FAR_ABOVE.0 * reached
        && own > reached + FAR_ABOVE.1
    {
        let text = format!(
            "{} was not trained to its end: its training loss ended at {}, and that of the smaller {} at {}",
            teacher.name,
            number(own),
            other.name,
            number(reached)
        );
        found.push(finding(FindingKind::TeacherUndertrained, Some(own / reached), text));
    }
    found
}

fn last_loss(run: &TrainingCurves) -> Option<f64> {
    run.series.get("train loss")?.last().map(|point| point[1])
}

/// Whether two training losses are of the same thing: labels alone, and nothing that changes what their loss means.
fn has_the_same_loss(report: &Report, first: &str, second: &str) -> bool {
    const MEANING: [&str; 5] = ["soft_weight", "hard_weight", "label_smoothing", "class_weights", "sampling"];
    let models = report.about.iter().flat_map(|about| &about.models);
    let training = |name: &str| models.clone().find(|model| model.name == name).map(|model| &model.training);
    let (Some(first), Some(second)) = (training(first), training(second)) else { return false };
    let is_hard = second.get("soft_weight").and_then(Value::as_f64) == Some(0.0);
    let is_inside =
        |name: &String| ["hidden_weight", "attention_weight", "relation_weight"].contains(&name.as_str());
    is_hard && !second.keys().any(is_inside) && MEANING.iter().all(|name| first.get(*name) == second.get(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(series: &[(&str, &[f64])]) -> TrainingCurves {
        let points =
            |values: &[f64]| values.iter().enumerate().map(|(at, value)| [at as f64, *value]).collect();
        let series = series.iter().map(|(what, values)| ((*what).to_owned(), points(values)));
        TrainingCurves { name: "teacher".to_owned(), series: series.collect() }
    }

    #[test]
    fn a_run_that_gets_better_to_its_end_is_noticed() {
        let text = still_improving(&run(&[("validation loss", &[0.9, 0.6, 0.4])])).unwrap();
        let expected = "in the last of 3 epochs the validation loss fell by 33.3 %, from 0.6000 to 0.4000";
        assert!(text.ends_with(expected), "{text}");
        let by_accuracy =
            run(&[("validation loss", &[0.6, 0.4, 0.41]), ("validation accuracy", &[0.7, 0.8, 0.85])]);
        assert!(
            still_improving(&by_accuracy)
                .unwrap()
                .ends_with("the validation accuracy rose from 0.8000 to 0.8500")
        );
    }

    #[test]
    fn a_run_that_has_settled_is_not() {
        for settled in [
            run(&[("validation loss", &[0.9, 0.4, 0.39]), ("validation accuracy", &[0.8, 0.9, 0.905])]),
            run(&[("validation loss", &[0.9, 0.4, 0.5])]),
            run(&[("validation loss", &[0.9])]),
            run(&[]),
        ] {
            assert_eq!(still_improving(&settled), None, "{settled:?}");
        }
    }
}
