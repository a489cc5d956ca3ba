//! Tables of classes: each with its figures, confusions, entities by kind of error.

use super::format::metric;
use super::table::{Cell, Table};
use crate::metrics::ClassFigures;
use crate::report::{DataReport, EntityErrors, ModelReport};

/// The classes of one model that a table shows: all, or of very many those with the most rows; and how many it leaves
/// out.
pub fn listed_classes(model: &ModelReport) -> (Vec<&ClassFigures>, usize) {
    const LISTED: usize = 500;
    let mut classes: Vec<&ClassFigures> = model.classes.iter().collect();
    let left_out = classes.len().saturating_sub(LISTED);
    if left_out > 0 {
        classes.sort_by_key(|class| std::cmp::Reverse(class.support));
        classes.truncate(LISTED);
    }
    (classes, left_out)
}

/// A sentence about classes that a table leaves out; nothing where it has all.
pub fn left_out(classes: usize) -> String {
    if classes == 0 {
        String::new()
    } else {
        format!("The {classes} classes with fewer rows are in report.json.")
    }
}

/// The classes of one model, whose rows, entities or words are counted.
pub fn classes(model: &ModelReport, counted: &str) -> Table {
    let mut table = Table::new(["label", "precision", "recall", "F1", counted, "predicted"]);
    let share = |value: f64| Cell::number(metric(value), value);
    for class in listed_classes(model).0 {
        let interval = class.f1_interval.map(|[low, high]| format!("{low:.3} to {high:.3}"));
        let f1 = share(class.f1).noted(interval);
        let counts = [class.support, class.predicted].map(Cell::count);
        let start = [Cell::text(&class.label), share(class.precision), share(class.recall), f1];
        table.push(start.into_iter().chain(counts));
    }
    table
}

/// What kind of errors the models' entities are; without rows where tags write no entities.
pub fn entity_errors(set: &DataReport) -> Table {
    let titles = ["model", "correct", "wrong type", "wrong boundary", "wrong both", "missed", "spurious"];
    let mut table = Table::new(titles);
    for model in &set.models {
        let Some(errors) = model.entity_errors else { continue };
        let EntityErrors { correct, wrong_type, wrong_boundary, wrong_both, missed, spurious } = errors;
        let counts = [correct, wrong_type, wrong_boundary, wrong_both, missed, spurious].map(Cell::count);
        table.push([Cell::text(&model.name)].into_iter().chain(counts));
    }
    table
}

/// The confusion matrix of one model: labels down, predictions across.
pub fn confusion(set: &DataReport, model: &ModelReport) -> Table {
    let mut table = Table::new([r"label \ predicted"]);
    table.header.extend(set.labels.iter().cloned());
    for (counts, label) in model.confusion.iter().zip(&set.labels) {
        table.push([Cell::text(label)].into_iter().chain(counts.iter().map(|count| Cell::count(*count))));
    }
    table
}

/// The most frequent confusions of one model, for label maps too wide for a matrix.
pub fn top_confusions(set: &DataReport, model: &ModelReport, shown: usize) -> Table {
    let mut pairs = model.confusions();
    pairs.retain(|(label, predicted, _)| label != predicted);
    pairs.sort_by_key(|(label, predicted, rows)| (std::cmp::Reverse(*rows), *label, *predicted));
    let name = |label: usize| set.labels.get(label).cloned().unwrap_or_default();
    let mut table = Table::new(["label", "predicted", "rows"]);
    for (label, predicted, rows) in pairs.into_iter().take(shown) {
        table.push([Cell::text(name(label)), Cell::text(name(predicted)), Cell::count(rows)]);
    }
    table
}
