//! What changed between two reports.

use serde::Serialize;

use super::about;
use super::table::Table;
use super::terminal::{TerminalStyle, draw};
use super::text;
use crate::metrics::Metric;
use crate::report::{DataReport, Figure, ModelInfo, ModelReport, Report};

/// The differences between an earlier and a later report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changes {
    /// What stands in only one of the two, and whether rows, labels or gates differ.
    pub notes: Vec<String>,
    /// Every metric of every model that both have.
    pub figures: Vec<Change>,
}

/// One metric, before and after.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// The data set.
    pub data: String,
    /// The model.
    pub model: String,
    /// The metric.
    pub metric: Metric,
    /// Before.
    pub before: Figure,
    /// After.
    pub after: Figure,
    /// Whether it got better.
    pub direction: Direction,
}

/// Which way a metric went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Better, and the intervals do not overlap.
    Better,
    /// Worse, and the intervals do not overlap.
    Worse,
    /// Not the same, but the intervals overlap or there are none.
    NotShown,
    /// Exactly the same.
    Same,
}

/// Compares two reports, data sets and models by name.
pub fn changes(before: &Report, after: &Report) -> Changes {
    let mut changes = Changes { notes: Vec::new(), figures: Vec::new() };
    note_names(
        &mut changes.notes,
        "data set",
        before.data.iter().map(|set| &set.name),
        after.data.iter().map(|set| &set.name),
    );
    compare_models_about(&mut changes.notes, before, after);
    for set in &after.data {
        if let Some(earlier) = before.data.iter().find(|earlier| earlier.name == set.name) {
            compare_sets(&mut changes, earlier, set);
        }
    }
    for gate in &after.gates {
        let same = |other: &&crate::gates::GateOutcome| {
            (&other.gate, &other.data, &other.model) == (&gate.gate, &gate.data, &gate.model)
        };
        match before.gates.iter().find(same) {
            Some(earlier) if earlier.state != gate.state => changes.notes.push(format!(
                "gate {:?} ({}, {}): was {}, is {}",
                gate.gate,
                gate.data,
                gate.model,
                earlier.state.word(),
                gate.state.word()
            )),
            _ => {}
        }
    }
    changes
}

/// Whether models of one name are the same ones, and what differs in how they were trained.
fn compare_models_about(notes: &mut Vec<String>, before: &Report, after: &Report) {
    let (Some(before), Some(after)) = (&before.about, &after.about) else { return };
    for model in &after.models {
        let Some(earlier) = before.models.iter().find(|earlier| earlier.name == model.name) else { continue };
        if let (Some(old), Some(new)) = (&earlier.hash, &model.hash)
            && old != new
        {
            notes
                .push(format!("{}: other weights ({} before, {} after)", model.name, earlier.path, model.path));
        }
        let names = earlier.training.keys().chain(model.training.keys());
        let mut names: Vec<&String> =
            names.filter(|name| FIGURES.iter().all(|figure| figure != name)).collect();
        names.sort();
        names.dedup();
        for name in names {
            let shown = |model: &ModelInfo| model.training.get(name).map_or("not set".to_owned(), about::shown);
            let (old, new) = (shown(earlier), shown(model));
            if old != new {
                notes.push(format!("{}: trained with {name} = {new}, before {old}", model.name));
            }
        }
    }
}

/// What a training ends with, which follows from what it was given.
const FIGURES: [&str; 3] = ["best_epoch", "stopped_early", "validation"];

fn compare_sets(changes: &mut Changes, before: &DataReport, after: &DataReport) {
    if before.rows_hash != after.rows_hash {
        changes.notes.push(format!(
            "{}: measured on other rows ({} before, {} after), so its figures are not of the same thing",
            after.name, before.rows, after.rows
        ));
    }
    if before.labels != after.labels {
        changes.notes.push(format!("{}: the label map differs", after.name));
    }
    let names = |set: &DataReport| set.models.iter().map(|model| model.name.clone()).collect::<Vec<_>>();
    note_names(
        &mut changes.notes,
        &format!("{}: model", after.name),
        names(before).iter(),
        names(after).iter(),
    );
    for model in &after.models {
        if let Some(earlier) = before.model(&model.name) {
            changes.figures.extend(compare_models(&after.name, earlier, model));
        }
    }
}

fn compare_models(data: &str, before: &ModelReport, after: &ModelReport) -> Vec<Change> {
    let change = |(metric, figure): (&Metric, &Figure)| {
        let earlier = before.metrics.get(metric)?;
        Some(Change {
            data: data.to_owned(),
            model: after.name.clone(),
            metric: *metric,
            before: *earlier,
            after: *figure,
            direction: direction(*metric, earlier, figure),
        })
    };
    after.metrics.iter().filter_map(change).collect()
}

fn direction(metric: Metric, before: &Figure, after: &Figure) -> Direction {
    if before.value == after.value {
        return Direction::Same;
    }
    let (Some([low, high]), Some([new_low, new_high])) = (before.interval, after.interval) else {
        return Direction::NotShown;
    };
    match (new_low > high, new_high < low) {
        (false, false) => Direction::NotShown,
        (is_higher, _) if is_higher == metric.higher_is_better() => Direction::Better,
        _ => Direction::Worse,
    }
}

fn note_names<'a>(
    notes: &mut Vec<String>,
    what: &str,
    before: impl Iterator<Item = &'a String>,
    after: impl Iterator<Item = &'a String>,
) {
    let (before, after): (Vec<&String>, Vec<&String>) = (before.collect(), after.collect());
    notes.extend(
        before.iter().filter(|name| !after.contains(name)).map(|name| format!("{what} {name:?} is gone")),
    );
    notes.extend(
        after.iter().filter(|name| !before.contains(name)).map(|name| format!("{what} {name:?} is new")),
    );
}

/// The changes as a table that has only what is not the same.
fn table(changes: &Changes) -> Table {
    let mut table = Table::new(["data", "model", "metric", "before", "after", "change", ""]);
    for change in changes.figures.iter().filter(|change| change.direction != Direction::Same) {
        let word = match change.direction {
            Direction::Better => "better",
            Direction::Worse => "WORSE",
            Direction::NotShown | Direction::Same => "not shown",
        };
        let (before, after) = (change.before.value, change.after.value);
        let cells = [format!("{before:.4}"), format!("{after:.4}"), format!("{:+.4}", after - before)];
        let names = [change.data.clone(), change.model.clone(), change.metric.title().to_owned()];
        table.push(names.into_iter().chain(cells).chain([word.to_owned()]));
    }
    table
}

/// The changes on a terminal.
pub fn terminal(changes: &Changes, style: TerminalStyle) -> String {
    let table = table(changes);
    let mut out: String = changes.notes.iter().map(|note| format!("{}\n", text::visible(note))).collect();
    if table.rows.is_empty() {
        out.push_str("every figure that both reports have is the same\n");
    } else {
        out.push_str(&draw(&table, style));
    }
    out
}

/// The changes as Markdown.
pub fn markdown(changes: &Changes) -> String {
    let table = table(changes);
    let notes: String = changes.notes.iter().map(|note| format!("- {}\n", text::markdown(note))).collect();
    let figures = if table.rows.is_empty() {
        "Every figure that both reports have is the same.\n".to_owned()
    } else {
        table.markdown()
    };
    format!("# Changes\n\n{notes}\n{figures}")
}
