//! Tables of models: side by side, every metric, each pair, several seeds.

use super::interval_text;
use super::table::{self, Cell};
use crate::build::rounds;
use crate::documents::table::NO_GAP;
use crate::documents::{format, table as words, text};
use crate::kinds;
use crate::metrics::Metric;
use crate::predictions::{Latency, Role};
use crate::report::{Comparison, ConstantAnswer, DataReport, Difference, Figure, ModelReport};

type Column = (&'static str, fn(&ModelReport) -> Option<Cell>);

const COST: [Column; 7] = [
    ("parameters", |model| {
        model.cost.map(|cost| Cell::number(&format::count(cost.parameters), cost.parameters as f64))
    }),
    ("size", |model| model.cost.map(|cost| Cell::number(&format::bytes(cost.bytes), cost.bytes as f64))),
    ("rows/s", |model| {
        let range = rounds::range(&rounds::values(model, |round| round.rows_per_second));
        model.cost?.rows_per_second.map(|value| between(value, range, format::rate))
    }),
    ("speed-up", |model| {
        let against = model.against_teacher.as_ref()?;
        against.speed_up.map(|value| between(value, against.speed_up_interval, format::times))
    }),
    ("p50 ms", |model| latency(model, |latency| latency.p50_ms)),
    ("p95 ms", |model| latency(model, |latency| latency.p95_ms)),
    ("p99 ms", |model| latency(model, |latency| latency.p99_ms)),
];

/// The models side by side.
pub fn side_by_side(set: &DataReport) -> String {
    let constant = set.constant.as_ref().map(ConstantAnswer::as_model);
    let models: Vec<&ModelReport> = set.models.iter().chain(&constant).collect();
    // Weighted F1 is in the table of every metric.
    let metrics = kinds::of(set.problem_type).columns().iter().filter(|metric| **metric != Metric::WeightedF1);
    let mut columns: Vec<(&'static str, Vec<Option<Cell>>)> = metrics
        .map(|name| (name.title(), models.iter().map(|model| model.metrics.get(name).map(figure)).collect()))
        .collect();
    let [headline, _] = set.headlines();
    let of_each = |cell: fn(&ModelReport, Metric) -> Option<Cell>| {
        models.iter().map(|model| cell(model, headline)).collect()
    };
    columns.extend([("kept", of_each(kept)), ("gap closed", of_each(gap_closed)), ("gain", of_each(gained))]);
    of_models("models side by side", &models, columns).unwrap_or_default()
}

fn kept(model: &ModelReport, headline: Metric) -> Option<Cell> {
    model.against_teacher.as_ref()?.kept.get(&headline).map(share)
}

fn gap_closed(model: &ModelReport, headline: Metric) -> Option<Cell> {
    let against = model.against_teacher.as_ref()?;
    let none = || against.no_gap.contains(&headline).then(|| Cell::number(NO_GAP, f64::NEG_INFINITY));
    against.gap_closed.get(&headline).map(share).or_else(none)
}

fn gained(model: &ModelReport, headline: Metric) -> Option<Cell> {
    model.against_baseline.as_ref()?.gain.get(&headline).map(gain)
}

/// What kind of errors the models' entities are; nothing where tags write no entities.
pub fn entity_errors(set: &DataReport) -> String {
    let words = words::entity_errors(set);
    if words.rows.is_empty() {
        return String::new();
    }
    let header: Vec<&str> = words.header.iter().map(String::as_str).collect();
    let cell = |(at, cell): (usize, &String)| match at {
        0 => Cell::text(cell),
        _ => Cell::number(cell, cell.parse().unwrap_or(f64::NAN)),
    };
    let rows: Vec<Vec<Cell>> =
        words.rows.iter().map(|row| row.iter().enumerate().map(cell).collect()).collect();
    format!("<h3>Entities by kind of error</h3>{}", table::draw("entities by kind of error", &header, &rows))
}

/// What the models cost; nothing where that was not measured.
pub fn costs(set: &DataReport) -> String {
    let models: Vec<&ModelReport> = set.models.iter().collect();
    let cells = |(title, cell): &Column| (*title, models.iter().map(|model| cell(model)).collect());
    let columns = COST.iter().map(cells).collect();
    of_models("cost", &models, columns).map(|table| format!("<h3>Cost</h3>{table}")).unwrap_or_default()
}

fn of_models(
    caption: &str,
    models: &[&ModelReport],
    columns: Vec<(&'static str, Vec<Option<Cell>>)>,
) -> Option<String> {
    let mut header = vec!["model"];
    let mut rows: Vec<Vec<Cell>> = models.iter().map(|model| vec![name(model)]).collect();
    for (title, cells) in columns.into_iter().filter(|(_, cells)| cells.iter().any(Option::is_some)) {
        header.push(title);
        rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell.unwrap_or(Cell::none())));
    }
    (header.len() > 1).then(|| table::draw(caption, &header, &rows))
}

fn latency(model: &ModelReport, of: fn(Latency) -> f64) -> Option<Cell> {
    let range = rounds::range(&rounds::values(model, rounds::latency(of)));
    Some(between(of(model.cost?.latency?), range, format::milliseconds))
}

/// A value over the lowest and the highest round.
fn between(value: f64, range: Option<[f64; 2]>, show: fn(f64) -> String) -> Cell {
    let range = range.map(|[low, high]| format!("{} to {}", show(low), show(high)));
    Cell::figure(&show(value), value, range)
}

/// A model's name, over the part it plays where the name does not say it.
fn name(model: &ModelReport) -> Cell {
    let role = model.role.name();
    let is_said = model.role == Role::Other || model.name.contains(role);
    Cell::noted(&model.name, (!is_said).then_some(role))
}

/// Every metric of every model.
pub fn all_metrics(set: &DataReport) -> String {
    let header: Vec<&str> =
        ["metric"].into_iter().chain(set.models.iter().map(|model| model.name.as_str())).collect();
    let has = |metric: &Metric| set.models.iter().any(|model| model.metrics.contains_key(metric));
    let row = |metric: Metric| {
        let cells = set.models.iter().map(|model| model.metrics.get(&metric).map_or(Cell::none(), figure));
        [Cell::text(metric.title())].into_iter().chain(cells).collect()
    };
    let mut rows: Vec<Vec<Cell>> = Metric::all().filter(has).map(row).collect();
    let temperatures = set.models.iter().map(|model| model.calibration.as_ref().map(|found| found.temperature));
    if temperatures.clone().any(|temperature| temperature.is_some()) {
        let cell = |temperature: f64| Cell::number(&format!("{temperature:.3}"), temperature);
        let cells = temperatures.map(|temperature| temperature.map_or(Cell::none(), cell));
        rows.push([Cell::text("best temperature")].into_iter().chain(cells).collect());
    }
    let table = table::draw("every metric", &header, &rows);
    format!("<details><summary>Every metric</summary>{table}</details>")
}

/// Each pair of models: the difference, whether it is shown, and McNemar's test.
pub fn comparisons(set: &DataReport, confidence: f64) -> String {
    if set.comparisons.is_empty() && set.over_constant().next().is_none() {
        return String::new();
    }
    let shown = words::shown(set);
    let mut rows: Vec<Vec<Cell>> = set.comparisons.iter().map(|pair| comparison(pair, &shown)).collect();
    let mut header = vec!["first", "second"];
    header.extend(shown.iter().map(|metric| metric.title()));
    if set.comparisons.iter().any(|pair| pair.mcnemar.is_some()) {
        header.extend(["only first right", "only second right", "McNemar p"]);
    }
    for (model, constant) in set.over_constant() {
        let mut row = vec![Cell::text(&model.name), Cell::text(&format!("always {}", constant.words()))];
        let cell = |metric: &Metric| model.over_constant.get(metric).map_or(Cell::none(), shown_difference);
        row.extend(shown.iter().map(cell));
        row.resize(header.len(), Cell::none());
        rows.push(row);
    }
    let note = format!(
        "<p class=\"soft\">First minus second, paired on the same rows. A difference is called one only where its {} interval excludes \
         zero.</p>",
        format::percent(confidence)
    );
    format!("<h3>Differences between models</h3>{note}{}", table::draw("differences", &header, &rows))
}

fn comparison(comparison: &Comparison, shown: &[Metric]) -> Vec<Cell> {
    let difference =
        |metric: &Metric| comparison.differences.get(metric).map_or(Cell::none(), shown_difference);
    let mut cells = vec![Cell::text(&comparison.first), Cell::text(&comparison.second)];
    cells.extend(shown.iter().map(difference));
    if let Some(mcnemar) = comparison.mcnemar {
        cells.extend([
            Cell::number(&mcnemar.only_first.to_string(), mcnemar.only_first as f64),
            Cell::number(&mcnemar.only_second.to_string(), mcnemar.only_second as f64),
            Cell::number(&p_value(mcnemar.p_value), mcnemar.p_value),
        ]);
    }
    cells
}

fn shown_difference(difference: &Difference) -> Cell {
    let shown = match (difference.is_shown, difference.interval) {
        (_, None) => format!("{:+.4}", difference.value),
        (true, _) => format!("{:+.4} difference", difference.value),
        (false, _) => format!("{:+.4} not shown", difference.value),
    };
    let interval = difference.interval.map(|[low, high]| format!("{low:+.4} to {high:+.4}"));
    Cell::figure(&shown, difference.value, interval)
}

fn p_value(value: f64) -> String {
    if value < 1e-4 { "< 0.0001".to_owned() } else { format!("{value:.4}") }
}

/// Several seeds of one model.
pub fn seeds(set: &DataReport) -> String {
    let mut out = String::new();
    for summary in &set.seeds {
        let rows: Vec<Vec<Cell>> = summary
            .metrics
            .iter()
            .map(|(metric, spread)| {
                let values = [spread.std, spread.min, spread.max];
                let cells = values.map(|value| Cell::number(&format::metric(value), value));
                let mean =
                    Cell::figure(&format::metric(spread.mean), spread.mean, interval_text(spread.interval));
                [Cell::text(metric.title()), mean].into_iter().chain(cells).collect()
            })
            .collect();
        let name = text::html(&summary.name);
        let table = table::draw("seeds", &["metric", "mean", "std", "min", "max"], &rows);
        let count = summary.models.len();
        out.push_str(&format!(
            "<details><summary>{name}: mean and spread of {count} seeds</summary>{table}</details>"
        ));
    }
    out
}

fn figure(figure: &Figure) -> Cell {
    Cell::figure(&format::metric(figure.value), figure.value, interval_text(figure.interval))
}

fn gain(gain: &Difference) -> Cell {
    let interval = gain.interval.map(|[low, high]| format!("{low:+.4} to {high:+.4}"));
    Cell::figure(&format!("{:+.4}", gain.value), gain.value, interval)
}

fn share(figure: &Figure) -> Cell {
    let interval = figure.interval.map(|ends| ends.map(format::percent).join(" to "));
    Cell::figure(&format::percent(figure.value), figure.value, interval)
}
