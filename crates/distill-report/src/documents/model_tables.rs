//! Tables of models: side by side, what they cost, every metric, every data set.

use super::format::{bytes, count, metric, milliseconds, percent, rate, times};
use super::table::{Cell, Table};
use crate::build::rounds;
use crate::kinds;
use crate::metrics::Metric;
use crate::predictions::{Latency, Role};
use crate::report::{ConstantAnswer, DataReport, Figure, ModelReport, Report};

/// How much a document has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// A page: notes under the cells.
    Page,
    /// A document with lines of any length.
    Wide,
    /// A terminal of 100 columns.
    Narrow,
}

impl Room {
    /// Whether a table of models has a column for a metric.
    fn has(self, metric: Metric) -> bool {
        match self {
            // Weighted F1 is in the table of every metric.
            Room::Page => metric != Metric::WeightedF1,
            Room::Wide => true,
            Room::Narrow => !matches!(
                metric,
                Metric::EntityPrecision | Metric::EntityRecall | Metric::WeightedF1 | Metric::Ece
            ),
        }
    }

    fn title(self, metric: Metric) -> &'static str {
        match metric {
            Metric::EntityPrecision if self != Room::Page => "precision",
            Metric::EntityRecall if self != Room::Page => "recall",
            other => other.title(),
        }
    }
}

/// A column of a table of models: of each, what it has there.
type Column = (&'static str, Vec<Option<Cell>>);

/// The models side by side, by quality; a column that no model has a value for is left out.
pub fn models(set: &DataReport, room: Room) -> Table {
    let constant = set.constant.as_ref().map(ConstantAnswer::as_model);
    let models: Vec<&ModelReport> = set.models.iter().chain(&constant).collect();
    let metrics = kinds::of(set.problem_type).columns().iter().filter(|metric| room.has(**metric));
    let figures =
        |metric: &Metric| models.iter().map(|model| model.metrics.get(metric).map(Cell::figure)).collect();
    let mut columns: Vec<Column> = metrics.map(|metric| (room.title(*metric), figures(metric))).collect();
    let [headline, _] = set.headlines();
    let of_each = |cell: fn(&ModelReport, Metric) -> Option<Cell>| {
        models.iter().map(|model| cell(model, headline)).collect()
    };
    columns.extend([("kept", of_each(kept)), ("gap closed", of_each(gap_closed)), ("gain", of_each(gain))]);
    let table = of_models(&models, columns);
    if room == Room::Page { table } else { table.without_notes() }
}

fn kept(model: &ModelReport, headline: Metric) -> Option<Cell> {
    model.against_teacher.as_ref()?.kept.get(&headline).map(share)
}

/// Where there is no gap it says so.
fn gap_closed(model: &ModelReport, headline: Metric) -> Option<Cell> {
    let against = model.against_teacher.as_ref()?;
    let none = || against.no_gap.contains(&headline).then(|| Cell::number("no gap", f64::NEG_INFINITY));
    against.gap_closed.get(&headline).map(share).or_else(none)
}

fn gain(model: &ModelReport, headline: Metric) -> Option<Cell> {
    let gain = model.against_baseline.as_ref()?.gain.get(&headline)?;
    let interval = gain.interval.map(|[low, high]| format!("{low:+.4} to {high:+.4}"));
    Some(Cell::number(format!("{:+.4}", gain.value), gain.value).noted(interval))
}

fn share(figure: &Figure) -> Cell {
    let interval = figure.interval.map(|ends| ends.map(percent).join(" to "));
    Cell::number(percent(figure.value), figure.value).noted(interval)
}

/// What the models cost, side by side; without rows where no cost is known.
/// A narrow table has no intervals.
pub fn costs(set: &DataReport, room: Room) -> Table {
    let models: Vec<&ModelReport> = set.models.iter().collect();
    let columns = COST.iter().map(|(title, cell)| (*title, models.iter().map(|model| cell(model)).collect()));
    let table = of_models(&models, columns.collect());
    match room {
        _ if table.header.len() == 1 => Table::default(),
        Room::Narrow => table.without_notes(),
        Room::Page | Room::Wide => table,
    }
}

/// A row a model; a column that no model has a value for is left out.
fn of_models(models: &[&ModelReport], columns: Vec<Column>) -> Table {
    let mut table = Table::new(["model"]);
    table.rows = models.iter().map(|model| vec![name(model)]).collect();
    for (title, cells) in columns.into_iter().filter(|(_, cells)| cells.iter().any(Option::is_some)) {
        table.header.push(title.to_owned());
        table.rows.iter_mut().zip(cells).for_each(|(row, cell)| row.push(cell.unwrap_or(Cell::none())));
    }
    table
}

/// A model's name, with the part it plays where the name does not say it.
fn name(model: &ModelReport) -> Cell {
    let role = model.role.name();
    let is_said = model.role == Role::Other || model.name.contains(role);
    Cell::text(&model.name).noted((!is_said).then(|| role.to_owned()))
}

/// What a model has in a column.
type OfModel = fn(&ModelReport) -> Option<Cell>;

const COST: [(&str, OfModel); 7] = [
    ("parameters", |model| model.cost.map(|cost| Cell::number(count(cost.parameters), cost.parameters as f64))),
    ("size", |model| model.cost.map(|cost| Cell::number(bytes(cost.bytes), cost.bytes as f64))),
    ("rows/s", |model| {
        let range = rounds::range(&rounds::values(model, |round| round.rows_per_second));
        model.cost?.rows_per_second.map(|value| between(value, range, rate))
    }),
    ("speed-up", |model| {
        let against = model.against_teacher.as_ref()?;
        against.speed_up.map(|value| between(value, against.speed_up_interval, times))
    }),
    ("p50 ms", |model| latency(model, |latency| latency.p50_ms)),
    ("p95 ms", |model| latency(model, |latency| latency.p95_ms)),
    ("p99 ms", |model| latency(model, |latency| latency.p99_ms)),
];

fn latency(model: &ModelReport, of: fn(Latency) -> f64) -> Option<Cell> {
    let range = rounds::range(&rounds::values(model, rounds::latency(of)));
    Some(between(of(model.cost?.latency?), range, milliseconds))
}

/// A value, and the lowest and the highest round where there are any.
fn between(value: f64, range: Option<[f64; 2]>, show: fn(f64) -> String) -> Cell {
    let range = range.map(|[low, high]| format!("{} to {}", show(low), show(high)));
    Cell::number(show(value), value).noted(range)
}

/// The models of all data sets, each once.
fn model_names(report: &Report) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for model in report.data.iter().flat_map(|set| &set.models) {
        if !names.contains(&model.name.as_str()) {
            names.push(&model.name);
        }
    }
    names
}

/// Every model on every data set: in-domain and cross-domain side by side.
pub fn across(report: &Report) -> Table {
    let titles = report
        .data
        .iter()
        .flat_map(|set| set.headlines().map(|name| format!("{}: {}", set.name, name.title())));
    let mut table = Table::new(["model".to_owned()].into_iter().chain(titles));
    for model in model_names(report) {
        let figure = |set: &DataReport, name: Metric| set.model(model)?.metrics.get(&name).map(Cell::figure);
        let cells = report
            .data
            .iter()
            .flat_map(|set| set.headlines().map(|name| figure(set, name).unwrap_or(Cell::none())));
        table.push([Cell::text(model)].into_iter().chain(cells));
    }
    table
}

/// The metric that says most of every model on every data set, without intervals.
pub fn across_short(report: &Report) -> Table {
    let mut table = Table::new(["model"].into_iter().chain(report.data.iter().map(|set| set.name.as_str())));
    for model in model_names(report) {
        let cell = |set: &DataReport| {
            let value = set.model(model)?.value(set.headlines()[0])?;
            Some(Cell::number(metric(value), value))
        };
        let cells = report.data.iter().map(|set| cell(set).unwrap_or(Cell::none()));
        table.push([Cell::text(model)].into_iter().chain(cells));
    }
    table
}

/// Every metric of every model with its interval.
pub fn metrics(set: &DataReport) -> Table {
    let mut table =
        Table::new(["metric"].into_iter().chain(set.models.iter().map(|model| model.name.as_str())));
    for name in Metric::all().filter(|name| set.models.iter().any(|model| model.metrics.contains_key(name))) {
        let cells = set.models.iter().map(|model| model.metrics.get(&name).map_or(Cell::none(), Cell::figure));
        table.push([Cell::text(name.title())].into_iter().chain(cells));
    }
    table
}
