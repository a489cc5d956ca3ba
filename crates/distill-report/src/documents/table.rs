//! Tables before they take a document's form: the same rows in Markdown and on the terminal.

pub use super::class_tables::{classes, confusion, entity_errors, left_out, listed_classes, top_confusions};
use super::format::{bytes, count, metric, milliseconds, percent, rate, times};
use super::text;
use crate::build::rounds;
use crate::kinds;
use crate::metrics::Metric;
use crate::predictions::Latency;
use crate::report::{
    ConstantAnswer, DataReport, Difference, ErrorRow, Errors, Figure, ModelReport, Report, Spread,
};

/// A table of finished cells. The first column is text, the others are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Column titles.
    pub header: Vec<String>,
    /// Cells, as many a row as there are titles.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Table { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// As Markdown; cells are escaped.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| text::markdown(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<&str> = (0..self.header.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
        let mut out = line(&self.header);
        out.push_str(&format!("| {} |\n", rule.join(" | ")));
        self.rows.iter().for_each(|row| out.push_str(&line(row)));
        out
    }
}

/// The models side by side, by quality; a column that no model has a value for is left out. A narrow
/// table has only what a terminal of 100 columns can hold.
pub fn models(set: &DataReport, is_narrow: bool) -> Table {
    let constant = set.constant.as_ref().map(ConstantAnswer::as_model);
    let models: Vec<&ModelReport> = set.models.iter().chain(&constant).collect();
    let metrics = kinds::of(set.problem_type).columns().iter();
    let metrics = metrics.filter(|metric| !(is_narrow && WIDE_ONLY.contains(metric)));
    let mut columns: Vec<(&'static str, Vec<Option<String>>)> = metrics
        .map(|name| (short_title(*name), models.iter().map(|model| model.value(*name).map(metric)).collect()))
        .collect();
    let [headline, _] = set.headlines();
    let compared: Vec<_> = models.iter().map(|model| compared(model, headline)).collect();
    columns.extend((0..3).filter_map(|at| {
        let title = compared.first()?[at].0;
        Some((title, compared.iter().map(|columns| columns[at].1.clone()).collect()))
    }));
    of_models(&models, columns)
}

/// What the models cost, side by side; without rows where no cost is known.
/// A narrow table has no intervals.
pub fn costs(set: &DataReport, is_narrow: bool) -> Table {
    let mut models = set.models.clone();
    if is_narrow {
        for model in &mut models {
            model.rounds.clear();
            model.against_teacher.iter_mut().for_each(|against| against.speed_up_interval = None);
        }
    }
    let models: Vec<&ModelReport> = models.iter().collect();
    let cells = |(title, cell): &Column| (*title, models.iter().map(|model| cell(model)).collect());
    let table = of_models(&models, COST.iter().map(cells).collect());
    if table.header.len() > 1 { table } else { Table::default() }
}

/// A row a model; a column that no model has a value for is left out.
fn of_models(models: &[&ModelReport], columns: Vec<(&'static str, Vec<Option<String>>)>) -> Table {
    let mut table = Table::new(["model"]);
    table.rows = models.iter().map(|model| vec![model.name.clone()]).collect();
    for (title, cells) in columns.into_iter().filter(|(_, cells)| cells.iter().any(Option::is_some)) {
        table.header.push(title.to_owned());
        for (row, cell) in table.rows.iter_mut().zip(cells) {
            row.push(cell.unwrap_or_else(|| "-".to_owned()));
        }
    }
    table
}

type Column = (&'static str, fn(&ModelReport) -> Option<String>);

/// Metrics that only a wide table has.
const WIDE_ONLY: [Metric; 4] = [Metric::EntityPrecision, Metric::EntityRecall, Metric::WeightedF1, Metric::Ece];

/// A metric's title in a table of models, which has little room.
fn short_title(metric: Metric) -> &'static str {
    match metric {
        Metric::EntityPrecision => "precision",
        Metric::EntityRecall => "recall",
        other => other.title(),
    }
}

/// A model compared with its teacher and its baseline by the metric that says most.
fn compared(model: &ModelReport, headline: Metric) -> [(&'static str, Option<String>); 3] {
    let against = model.against_teacher.as_ref();
    let kept = against.and_then(|against| against.kept.get(&headline)).map(|kept| percent(kept.value));
    let gain = model.against_baseline.as_ref().and_then(|against| against.gain.get(&headline));
    let closed = against.and_then(|against| {
        let closed = against.gap_closed.get(&headline).map(|closed| percent(closed.value));
        closed.or_else(|| against.no_gap.contains(&headline).then(|| NO_GAP.to_owned()))
    });
    [("kept", kept), ("gap closed", closed), ("gain", gain.map(|gain| format!("{:+.4}", gain.value)))]
}

/// What stands in place of the gap closed where there is none.
pub const NO_GAP: &str = "no gap";

const COST: &[Column] = &[
    ("parameters", |model| model.cost.map(|cost| count(cost.parameters))),
    ("size", |model| model.cost.map(|cost| bytes(cost.bytes))),
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

fn latency(model: &ModelReport, of: fn(Latency) -> f64) -> Option<String> {
    let range = rounds::range(&rounds::values(model, rounds::latency(of)));
    Some(between(of(model.cost?.latency?), range, milliseconds))
}

/// A value, and the lowest and the highest round where there are any.
fn between(value: f64, range: Option<[f64; 2]>, show: fn(f64) -> String) -> String {
    let range = range.map(|[low, high]| format!(" ({} to {})", show(low), show(high)));
    show(value) + &range.unwrap_or_default()
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
        let cell = |set: &DataReport, name: Metric| set.model(model)?.metrics.get(&name).map(figure);
        let cells = report
            .data
            .iter()
            .flat_map(|set| set.headlines().map(|name| cell(set, name).unwrap_or("-".to_owned())));
        table.rows.push([model.to_owned()].into_iter().chain(cells).collect());
    }
    table
}

/// The metric that says most of every model on every data set, without intervals.
pub fn across_short(report: &Report) -> Table {
    let mut table = Table::new(["model"].into_iter().chain(report.data.iter().map(|set| set.name.as_str())));
    for model in model_names(report) {
        let cell = |set: &DataReport| Some(metric(set.model(model)?.value(set.headlines()[0])?));
        let cells = report.data.iter().map(|set| cell(set).unwrap_or_else(|| "-".to_owned()));
        table.rows.push([model.to_owned()].into_iter().chain(cells).collect());
    }
    table
}

/// Every metric of every model with its interval.
pub fn metrics(set: &DataReport) -> Table {
    let mut table =
        Table::new(["metric"].into_iter().chain(set.models.iter().map(|model| model.name.as_str())));
    for name in Metric::all().filter(|name| set.models.iter().any(|model| model.metrics.contains_key(name))) {
        let cells = set.models.iter().map(|model| model.metrics.get(&name).map_or("-".to_owned(), figure));
        table.rows.push([name.title().to_owned()].into_iter().chain(cells).collect());
    }
    table
}

fn figure(figure: &Figure) -> String {
    match figure.interval {
        Some([low, high]) => format!("{:.4} ({low:.4} to {high:.4})", figure.value),
        None => metric(figure.value),
    }
}

/// Each pair of models: differences of the metrics that say most, and McNemar's test.
pub fn differences(set: &DataReport) -> Table {
    let [headline, second] = set.headlines();
    let mut table = Table::new(["first", "second", headline.title(), second.title()]);
    let has_test = set.comparisons.iter().any(|pair| pair.mcnemar.is_some());
    if has_test {
        table.header.extend(["only first right", "only second right", "McNemar p"].map(str::to_owned));
    }
    for pair in &set.comparisons {
        let cell = |name: Metric| pair.differences.get(&name).map_or("-".to_owned(), difference);
        let counts = pair.mcnemar.map(|test| {
            [test.only_first.to_string(), test.only_second.to_string(), format!("{:.4}", test.p_value)]
        });
        let start = [pair.first.clone(), pair.second.clone(), cell(headline), cell(second)];
        table.rows.push(start.into_iter().chain(counts.into_iter().flatten()).collect());
    }
    for (model, constant) in set.over_constant() {
        let cell = |name: Metric| model.over_constant.get(&name).map_or("-".to_owned(), difference);
        let mut row =
            vec![model.name.clone(), format!("always {}", constant.words()), cell(headline), cell(second)];
        row.resize(table.header.len(), "-".to_owned());
        table.rows.push(row);
    }
    table
}

fn difference(difference: &Difference) -> String {
    match difference.interval {
        Some([low, high]) => {
            let word = if difference.is_shown { "a difference" } else { "not shown" };
            format!("{:+.4} ({low:+.4} to {high:+.4}), {word}", difference.value)
        }
        None => format!("{:+.4}", difference.value),
    }
}

/// The metrics that say most, and a third one where the kind of label has one.
pub fn shown(set: &DataReport) -> Vec<Metric> {
    set.headlines().into_iter().chain(kinds::of(set.problem_type).third()).collect()
}

/// Mean and spread of the models that were given with several seeds.
pub fn seeds(set: &DataReport) -> Table {
    let shown = shown(set);
    let titles = shown.iter().map(|metric| metric.title());
    let mut table = Table::new(["seeds of", "seeds"].into_iter().chain(titles));
    for group in &set.seeds {
        let cell = |name: Metric| group.metrics.get(&name).map_or("-".to_owned(), spread);
        let cells = shown.iter().map(|metric| cell(*metric));
        table
            .rows
            .push([group.name.clone(), group.models.len().to_string()].into_iter().chain(cells).collect());
    }
    table
}

/// `0.9210 ± 0.0034 (0.9126 to 0.9294)`: mean, standard deviation, interval of the mean.
fn spread(spread: &Spread) -> String {
    let interval = spread.interval.map_or(String::new(), |[low, high]| format!(" ({low:.4} to {high:.4})"));
    format!("{:.4} ± {:.4}{interval}", spread.mean, spread.std)
}

/// The slices, weakest first.
pub fn slices(set: &DataReport) -> Table {
    let names = set.models.iter().map(|model| model.name.clone());
    let mut table =
        Table::new(["by".to_owned(), "rows with".to_owned(), "rows".to_owned()].into_iter().chain(names));
    for slice in &set.slices {
        let cells = slice.accuracies.iter().map(figure);
        let start = [slice.by.clone(), slice.value.clone(), slice.rows.to_string()];
        table.rows.push(start.into_iter().chain(cells).collect());
    }
    table
}

/// Rows that deserve a look.
pub fn error_rows(rows: &[ErrorRow]) -> Table {
    let has_shares = rows.iter().any(|row| row.confidence.is_some());
    let shares = if has_shares { &["student", "teacher"][..] } else { &[] };
    let titles = ["id", "label", "predicted"].iter().chain(shares).chain(&["text"]);
    let mut table = Table::new(titles.copied());
    for row in rows {
        let shares = [row.confidence, row.teacher_confidence].into_iter().flatten();
        let shares = shares.map(|share| format!("{share:.3}"));
        let start = [row.id.clone(), row.label.clone(), row.predicted.clone()];
        table
            .rows
            .push(start.into_iter().chain(shares).chain([row.text.clone().unwrap_or_default()]).collect());
    }
    table
}

/// Confusions that the student makes more often than the teacher.
pub fn grown_confusions(errors: &Errors) -> Table {
    let mut table = Table::new(["label", "predicted as", "teacher", "student"]);
    for grown in &errors.grown_confusions {
        let counts = [grown.teacher.to_string(), grown.student.to_string()];
        table.rows.push([grown.label.clone(), grown.predicted.clone()].into_iter().chain(counts).collect());
    }
    table
}
