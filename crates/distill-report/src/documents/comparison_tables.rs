//! Tables of what stands between models: differences, seeds, slices, single rows.

use super::table::{Cell, Table};
use crate::kinds;
use crate::metrics::Metric;
use crate::report::{DataReport, Difference, ErrorRow, Errors, Figure, Spread};

/// Each pair of models, and each model compared with the best constant answer: differences of `metrics`, each as `cell`
/// shows it, and McNemar's test.
pub fn differences(set: &DataReport, metrics: &[Metric], cell: fn(&Difference) -> Cell) -> Table {
    let titles = ["first", "second"].into_iter().chain(metrics.iter().map(|metric| metric.title()));
    let mut table = Table::new(titles);
    if set.comparisons.iter().any(|pair| pair.mcnemar.is_some()) {
        table.header.extend(["only first right", "only second right", "McNemar p"].map(str::to_owned));
    }
    for pair in &set.comparisons {
        let cells = metrics.iter().map(|metric| pair.differences.get(metric).map_or(Cell::none(), cell));
        let test = pair
            .mcnemar
            .map(|test| [Cell::count(test.only_first), Cell::count(test.only_second), p_value(test.p_value)]);
        let start = [Cell::text(&pair.first), Cell::text(&pair.second)];
        table.push(start.into_iter().chain(cells).chain(test.into_iter().flatten()));
    }
    for (model, constant) in set.over_constant() {
        let cells = metrics.iter().map(|metric| model.over_constant.get(metric).map_or(Cell::none(), cell));
        let start = [Cell::text(&model.name), Cell::text(format!("always {}", constant.words()))];
        let mut row: Vec<Cell> = start.into_iter().chain(cells).collect();
        row.resize(table.header.len(), Cell::none());
        table.rows.push(row);
    }
    table
}

/// `+0.0112 (+0.0010 to +0.0214), a difference`, in one line.
pub fn difference_in_words(difference: &Difference) -> Cell {
    let words = match difference.interval {
        Some([low, high]) => {
            let word = if difference.is_shown { "a difference" } else { "not shown" };
            format!("{:+.4} ({low:+.4} to {high:+.4}), {word}", difference.value)
        }
        None => format!("{:+.4}", difference.value),
    };
    Cell::number(words, difference.value)
}

fn p_value(value: f64) -> Cell {
    Cell::number(if value < 1e-4 { "< 0.0001".to_owned() } else { format!("{value:.4}") }, value)
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
        let cell = |name: Metric| group.metrics.get(&name).map_or(Cell::none(), spread);
        let cells = shown.iter().map(|metric| cell(*metric));
        let start = [Cell::text(&group.name), Cell::count(group.models.len() as u64)];
        table.push(start.into_iter().chain(cells));
    }
    table
}

/// `0.9210 ± 0.0034 (0.9126 to 0.9294)`: mean, standard deviation, interval of the mean.
fn spread(spread: &Spread) -> Cell {
    let interval = spread.interval.map(|[low, high]| format!("{low:.4} to {high:.4}"));
    Cell::number(format!("{:.4} ± {:.4}", spread.mean, spread.std), spread.mean).noted(interval)
}

/// The slices, weakest first, their figures with a number of digits.
pub fn slices(set: &DataReport, digits: usize) -> Table {
    let names = set.models.iter().map(|model| model.name.as_str());
    let mut table = Table::new(["by", "rows with", "rows"].into_iter().chain(names));
    let figure = |figure: &Figure| {
        let interval = figure.interval.map(|[low, high]| format!("{low:.digits$} to {high:.digits$}"));
        Cell::number(format!("{:.digits$}", figure.value), figure.value).noted(interval)
    };
    for slice in &set.slices {
        let start = [Cell::text(&slice.by), Cell::text(&slice.value), Cell::count(slice.rows as u64)];
        table.push(start.into_iter().chain(slice.accuracies.iter().map(figure)));
    }
    table
}

/// Rows that deserve a look, their texts last.
pub fn error_rows(rows: &[ErrorRow]) -> Table {
    let has_shares = rows.iter().any(|row| row.confidence.is_some());
    let shares = if has_shares { &["student", "teacher"][..] } else { &[] };
    let titles = ["id", "label", "predicted"].iter().chain(shares).chain(&["text"]);
    let mut table = Table::new(titles.copied());
    let share = |value: f64| Cell::number(format!("{value:.3}"), value);
    for row in rows {
        let mut cells = [&row.id, &row.label, &row.predicted].map(Cell::text).to_vec();
        if has_shares {
            let shares = [row.confidence, row.teacher_confidence];
            cells.extend(shares.map(|value| value.map_or(Cell::none(), share)));
        }
        cells.push(Cell::text(row.text.as_deref().unwrap_or_default()));
        table.rows.push(cells);
    }
    table
}

/// Confusions that the student makes more often than the teacher.
pub fn grown_confusions(errors: &Errors) -> Table {
    let mut table = Table::new(["label", "predicted as", "teacher", "student"]);
    for grown in &errors.grown_confusions {
        let names = [Cell::text(&grown.label), Cell::text(&grown.predicted)];
        table.push(names.into_iter().chain([grown.teacher, grown.student].map(Cell::count)));
    }
    table
}
