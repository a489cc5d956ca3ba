//! Parts of the rows: by label, by length, by the teacher's confidence, by any column.

use std::collections::BTreeMap;

use crate::metrics::{Metric, Scored};
use crate::predictions::{Predictions, Role};
use crate::report::{Figure, Slice};
use crate::settings::ReportSettings;
use crate::stats::wilson_interval;

/// The slices with enough rows, those where the first student is weakest first.
pub fn slices(models: &[Predictions], scored: &[Scored], settings: &ReportSettings) -> Vec<Slice> {
    let figure = |model: usize, rows: &[usize]| accuracy(&scored[model], rows, settings.confidence);
    let mut slices = Vec::new();
    for by in &settings.slices {
        if let Some(values) = values(by, models, scored) {
            let values: Vec<Vec<String>> = values.into_iter().map(|value| vec![value]).collect();
            slices.extend(cut(by, &values, Metric::Accuracy, models.len(), &figure, settings));
        }
    }
    sort(&mut slices, models, settings.listed);
    slices
}

/// The slices where the first student is weakest first, as many as are listed.
pub(super) fn sort(slices: &mut Vec<Slice>, models: &[Predictions], listed: usize) {
    let student = models.iter().position(|model| model.role == Role::Student).unwrap_or(0);
    slices.sort_by(|left, right| {
        let weakness = |slice: &Slice| slice.weakness(student).unwrap_or(f64::INFINITY);
        weakness(left).total_cmp(&weakness(right)).then(right.rows.cmp(&left.rows))
    });
    slices.truncate(listed);
}

/// What each labelled row is cut by; none where the models' rows do not have it.
fn values(by: &str, models: &[Predictions], scored: &[Scored]) -> Option<Vec<String>> {
    let first = scored.first()?;
    match by {
        "label" => Some(by_label(models, first)),
        "length" => Some(by_length(models.iter().find_map(|model| model.texts.as_ref())?, first.rows())),
        "teacher_confidence" => {
            let teacher = &scored[models.iter().position(|model| model.role == Role::Teacher)?];
            Some((0..first.len()).map(|row| confidence_band(teacher.confidence(row))).collect())
        }
        column => {
            let mut columns = models.iter().flat_map(|model| &model.columns);
            let (_, values) = columns.find(|(name, _)| name == column)?;
            Some(first.rows().iter().map(|row| values[*row].clone()).collect())
        }
    }
}

/// One slice a distinct value, where it has enough rows and is not all of them. A row may have several values; `figure`
/// is that of a model on some of the labelled rows.
pub(super) fn cut(
    by: &str,
    values: &[Vec<String>],
    metric: Metric,
    models: usize,
    figure: &dyn Fn(usize, &[usize]) -> Figure,
    settings: &ReportSettings,
) -> Vec<Slice> {
    let mut rows_of: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, values) in values.iter().enumerate() {
        values.iter().for_each(|value| rows_of.entry(value).or_default().push(at));
    }
    let is_slice = |rows: &Vec<usize>| rows.len() >= settings.slice_min_rows && rows.len() < values.len();
    rows_of
        .into_iter()
        .filter(|(_, rows)| is_slice(rows))
        .map(|(value, rows)| Slice {
            by: if by == "teacher_confidence" { "teacher confidence".to_owned() } else { by.to_owned() },
            value: value.to_owned(),
            rows: rows.len(),
            metric: (metric != Metric::Accuracy).then_some(metric),
            accuracies: (0..models).map(|model| figure(model, &rows)).collect(),
        })
        .collect()
}

fn accuracy(model: &Scored, rows: &[usize], confidence: f64) -> Figure {
    let hits = rows.iter().filter(|at| model.is_correct(**at)).count();
    let interval = wilson_interval(hits as u64, rows.len() as u64, confidence);
    Figure { value: hits as f64 / rows.len() as f64, interval: Some(interval) }
}

fn by_label(models: &[Predictions], scored: &Scored) -> Vec<String> {
    let name = |label: &usize| models[0].label_map.name(*label).unwrap_or_default().to_owned();
    scored.targets().iter().map(name).collect()
}

/// Four parts of about as many rows each, by the number of characters.
pub(super) fn by_length(texts: &[String], rows: &[usize]) -> Vec<String> {
    let lengths: Vec<usize> = rows.iter().map(|row| texts[*row].chars().count()).collect();
    let mut sorted = lengths.clone();
    sorted.sort_unstable();
    let border = |quarter: usize| sorted[(sorted.len() * quarter / 4).min(sorted.len() - 1)];
    let mut borders = vec![border(1), border(2), border(3)];
    borders.dedup();
    let band = |length: usize| {
        let at = borders.partition_point(|border| *border <= length);
        let from = if at == 0 { 0 } else { borders[at - 1] };
        match borders.get(at) {
            Some(next) if *next == from + 1 => format!("{from} characters"),
            Some(next) => format!("{from} to {} characters", next - 1),
            None => format!("{from} characters or more"),
        }
    };
    lengths.into_iter().map(band).collect()
}

fn confidence_band(confidence: f64) -> String {
    let band = match confidence {
        c if c < 0.5 => "below 0.5",
        c if c < 0.7 => "0.5 to 0.7",
        c if c < 0.9 => "0.7 to 0.9",
        c if c < 0.99 => "0.9 to 0.99",
        _ => "0.99 or more",
    };
    band.to_owned()
}
