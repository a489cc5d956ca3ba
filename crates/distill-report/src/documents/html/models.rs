//! Tables of models: side by side, every metric, each pair, several seeds.

use super::table;
use crate::documents::table::{self as words, Cell, Room, Table};
use crate::documents::{format, text};
use crate::report::{DataReport, Difference, Figure};

/// The models side by side.
pub fn side_by_side(set: &DataReport) -> String {
    let models = words::models(set, Room::Page);
    if models.header.len() > 1 { table::draw("models side by side", &models) } else { String::new() }
}

/// What kind of errors the models' entities are; nothing where tags write no entities.
pub fn entity_errors(set: &DataReport) -> String {
    titled("Entities by kind of error", "entities by kind of error", &words::entity_errors(set))
}

/// What the models cost; nothing where that was not measured.
pub fn costs(set: &DataReport) -> String {
    titled("Cost", "cost", &words::costs(set, Room::Page))
}

/// A table under a title; nothing without rows.
fn titled(title: &str, caption: &str, words: &Table) -> String {
    if words.rows.is_empty() {
        return String::new();
    }
    format!("<h3>{title}</h3>{}", table::draw(caption, words))
}

/// Every metric of every model.
pub fn all_metrics(set: &DataReport) -> String {
    let mut metrics = words::metrics(set);
    let temperatures = set.models.iter().map(|model| model.calibration.as_ref().map(|found| found.temperature));
    if temperatures.clone().any(|temperature| temperature.is_some()) {
        let cell = |temperature: f64| Cell::number(format!("{temperature:.3}"), temperature);
        let cells = temperatures.map(|temperature| temperature.map_or(Cell::none(), cell));
        metrics.push([Cell::text("best temperature")].into_iter().chain(cells));
    }
    format!("<details><summary>Every metric</summary>{}</details>", table::draw("every metric", &metrics))
}

/// Each pair of models: the difference, whether it is shown, and McNemar's test.
pub fn comparisons(set: &DataReport, confidence: f64) -> String {
    let differences = words::differences(set, &words::shown(set), shown_difference);
    if differences.rows.is_empty() {
        return String::new();
    }
    let note = format!(
        "<p class=\"soft\">First minus second, paired on the same rows. A difference is called one only where its {} interval excludes \
         zero.</p>",
        format::percent(confidence)
    );
    format!("<h3>Differences between models</h3>{note}{}", table::draw("differences", &differences))
}

fn shown_difference(difference: &Difference) -> Cell {
    let shown = match (difference.is_shown, difference.interval) {
        (_, None) => format!("{:+.4}", difference.value),
        (true, _) => format!("{:+.4} difference", difference.value),
        (false, _) => format!("{:+.4} not shown", difference.value),
    };
    let interval = difference.interval.map(|[low, high]| format!("{low:+.4} to {high:+.4}"));
    Cell::number(shown, difference.value).noted(interval)
}

/// Several seeds of one model.
pub fn seeds(set: &DataReport) -> String {
    let mut out = String::new();
    for summary in &set.seeds {
        let mut seeds = Table::new(["metric", "mean", "std", "min", "max"]);
        for (metric, spread) in &summary.metrics {
            let mean = Cell::figure(&Figure { value: spread.mean, interval: spread.interval });
            let others = [spread.std, spread.min, spread.max];
            let others = others.map(|value| Cell::number(format::metric(value), value));
            seeds.push([Cell::text(metric.title()), mean].into_iter().chain(others));
        }
        let (name, count) = (text::html(&summary.name), summary.models.len());
        let table = table::draw("seeds", &seeds);
        out.push_str(&format!(
            "<details><summary>{name}: mean and spread of {count} seeds</summary>{table}</details>"
        ));
    }
    out
}
