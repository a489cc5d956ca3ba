//! Logits from files: this program's or any other's.

use std::path::Path;

use distill_core::{LabelMap, StopSignal};
use distill_data::logits::LogitsTable;
use distill_data::source::{Label, RawLabel, resolve};
use distill_report::{DataSet, Predictions};
use distill_task::{Positions, TaskId};

use super::named::{Entry, Named, entries};
use super::rows::{Columns, ColumnsRow, Labelled, TestSet};
use crate::error::{Context, Result, RunError};
use crate::inputs;

/// The tables by data set: those of `--data`, else those that the tables name.
///
/// # Errors
/// Wrong usage where it is not said which data set a table is about.
pub fn by_set(tables: &[Named], sets: &[String]) -> Result<Vec<(String, Vec<Entry>)>> {
    let mut names = sets.to_vec();
    for data in tables.iter().filter_map(|table| table.data.as_ref()) {
        if names.contains(data) {
            continue;
        }
        if !sets.is_empty() {
            return Err(RunError::usage(format!(
                "there is no data set {data:?}; --data has {}",
                sets.join(", ")
            )));
        }
        names.push(data.clone());
    }
    if names.is_empty() {
        names.push("test".to_owned());
    }
    if let (true, Some(table)) = (names.len() > 1, tables.iter().find(|table| table.data.is_none())) {
        return Err(RunError::usage(format!(
            "{}: give its data set as NAME@DATA=FILE; the data sets are {}",
            table.path.display(),
            names.join(", ")
        )));
    }
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let is_about = |table: &&Named| table.data.as_ref().is_none_or(|data| *data == name);
        let entries = entries(&tables.iter().filter(is_about).collect::<Vec<_>>())?;
        if entries.is_empty() {
            return Err(RunError::usage(format!("there are no --predictions for the data set {name:?}")));
        }
        found.push((name, entries));
    }
    Ok(found)
}

/// Reads the tables of every data set. Where the data set's own rows are given, labels and texts are
/// theirs, joined by id.
///
/// # Errors
/// [`distill_data::DataError`] and [`distill_report::ReportError`] with file and row.
pub fn read(
    tables: Vec<(String, Vec<Entry>)>,
    sets: &[TestSet],
    labels: &[String],
    problem_type: TaskId,
    stop: &StopSignal,
) -> Result<Vec<DataSet>> {
    if problem_type.positions() == Positions::Span {
        return Err(RunError::usage(
            "logits of answers in a text cannot be read from files, because they do not say where tokens end; give the \
             models with --model",
        ));
    }
    let shared = shared_labels(tables.iter().flat_map(|(_, entries)| entries), labels)?;
    let mut data = Vec::with_capacity(tables.len());
    for (name, entries) in tables {
        let set = sets.iter().find(|set| set.name == name);
        let mut predictions = Vec::with_capacity(entries.len());
        for entry in &entries {
            let named = TableOf { path: &entry.path, model: &entry.name, problem_type };
            let table = read_table(&named, shared.as_ref(), set, stop)?;
            let further = set.map_or(&[][..], |set| &set.columns);
            predictions.push(table.predictions(entry, further)?);
        }
        data.push(DataSet { name, predictions });
    }
    Ok(data)
}

/// The label names that were given, else those of the first table that has them. Tables of text have
/// none, so they are theirs too.
fn shared_labels<'a>(
    mut entries: impl Iterator<Item = &'a Entry>,
    labels: &[String],
) -> Result<Option<LabelMap>> {
    if !labels.is_empty() {
        return Ok(Some(LabelMap::new(labels.iter().cloned())?));
    }
    let with_names = entries.find_map(|entry| match LogitsTable::open(&entry.path) {
        Ok(table) => table.fingerprint().map(|fingerprint| Ok(fingerprint.label_map.clone())),
        Err(error) => Some(Err(error)),
    });
    Ok(with_names.transpose()?)
}

/// The problem type of these tables: as given, else that of the first table that has one.
///
/// # Errors
/// Where a table cannot be opened; wrong usage where one says otherwise than was said.
pub fn problem_type(tables: &[(String, Vec<Entry>)], asked: Option<TaskId>) -> Result<TaskId> {
    let mut found = asked;
    for entry in tables.iter().flat_map(|(_, entries)| entries) {
        let table = LogitsTable::open(&entry.path)?;
        let Some(own) = table.fingerprint().map(|fingerprint| fingerprint.problem_type) else { continue };
        match found {
            Some(other) if other != own => {
                return Err(RunError::usage(format!(
                    "{}: its problem_type is {own}, but that of the others is {other}",
                    entry.path.display()
                )));
            }
            _ => found = Some(own),
        }
    }
    Ok(found.unwrap_or_default())
}

/// A table to read.
struct TableOf<'a> {
    path: &'a Path,
    model: &'a str,
    /// What its logits mean where it does not say.
    problem_type: TaskId,
}

/// Numbers are names where all names of the map are numbers.
fn by_name(label: Label<RawLabel>, map: &LabelMap) -> Label<RawLabel> {
    match label {
        Label::Class(class) => Label::Class(class.by_name(map)),
        Label::Classes(classes) => {
            Label::Classes(classes.into_iter().map(|class| class.by_name(map)).collect())
        }
        Label::Tags(tags) => Label::Tags(tags.into_iter().map(|tag| tag.map(|tag| tag.by_name(map))).collect()),
        value => value,
    }
}

struct Table {
    columns: Columns,
    map: LabelMap,
    problem_type: TaskId,
}

impl Table {
    fn predictions(self, entry: &Entry, further: &[(String, Vec<String>)]) -> Result<Predictions> {
        Ok(self.columns.predictions(entry, self.map, self.problem_type, further)?)
    }
}

fn read_table(
    of: &TableOf<'_>,
    shared: Option<&LabelMap>,
    set: Option<&TestSet>,
    stop: &StopSignal,
) -> Result<Table> {
    const HOW: &str = "labels by name need --labels, the names in the order of the logits";
    let TableOf { path, model, problem_type } = *of;
    let table = LogitsTable::open(path)?.labelled(problem_type);
    let problem_type = table.problem_type();
    let known = table.fingerprint().map(|fingerprint| fingerprint.label_map.clone()).or(shared.cloned());
    let is_foreign = table.fingerprint().is_none();
    let (is_numbered, mut map) = (known.is_none(), known);
    let (mut columns, mut hashes) = (Columns::default(), Vec::new());
    for row in table.rows()? {
        if hashes.len() % 4096 == 0 {
            stop.check()?;
        }
        let row = row?;
        let map = match &map {
            Some(map) => map,
            None => {
                let predictions = row.positions.as_ref().map_or(1, Vec::len);
                map.insert(LabelMap::numbered(row.logits.len() / predictions.max(1))?)
            }
        };
        let given = match &row.label {
            // Tables that this program wrote have ids.
            Some(label) if is_foreign => Some(by_name(label.clone(), map)),
            label => label.clone(),
        };
        let label = given.as_ref().map(|label| resolve(label, map, &row.place, "label")).transpose();
        let is_name = |class: &RawLabel| matches!(class, RawLabel::Name(_));
        let is_name = given.as_ref().is_some_and(|label| label.classes().any(is_name));
        let label = if is_numbered && is_name { label.context(HOW)? } else { label? };
        columns.push(ColumnsRow {
            id: row.id,
            text: row.text,
            label,
            tokens: row.tokens,
            positions: row.positions.as_deref().unwrap_or_default(),
            logits: &row.logits,
        });
        hashes.push(row.text_hash);
    }
    let Some(map) = map else { return Err(RunError::data(format!("{} has no rows", path.display()))) };
    let width = columns.width();
    if width != map.num_labels() {
        return Err(RunError::data(format!(
            "{}: {width} logits per row, but there are {} labels: {map}",
            path.display(),
            map.num_labels()
        )));
    }
    if let Some(set) = set {
        let labelled = Labelled::read(set, &inputs::fit(&set.source, &set.summary, &map)?, stop)?;
        let joined = labelled.join(model, columns, &hashes, &map);
        columns = if is_numbered && labelled.has_label_names() { joined.context(HOW)? } else { joined? };
    }
    Ok(Table { columns, map, problem_type })
}

#[cfg(test)]
mod tests {
    use distill_report::metrics::Metric;
    use distill_report::{ReportSettings, Role, build};

    use super::*;

    fn entry(folder: &Path, name: &str, role: Role, lines: &str) -> Entry {
        let path = folder.join(format!("{name}.jsonl"));
        distill_core::atomic::write(&path, lines.as_bytes()).unwrap();
        Entry { name: name.to_owned(), seeds_of: None, role, path }
    }

    /// Rows of words have different numbers of logits, and are joined by id.
    #[test]
    fn tables_of_tags_keep_the_words_and_the_logits_of_each_row() {
        let folder = tempfile::tempdir().unwrap();
        let teacher = r#"{"id": "a", "tokens": ["Oslo", "rains"], "label": ["B-X", "O"], "logits": [0, 1, 0, 1, 0, 0]}
{"id": "b", "tokens": ["new", "\u200b", "york"], "label": ["B-X", null, "I-X"], "positions": [0, 2], "logits": [0, 1, 0, 0, 0, 1]}
"#;
        let student = r#"{"id": "b", "tokens": ["new", "\u200b", "york"], "label": ["B-X", null, "I-X"], "positions": [0, 2], "logits": [0, 1, 0, 1, 0, 0]}
{"id": "a", "tokens": ["Oslo", "rains"], "label": ["B-X", "O"], "logits": [0, 1, 0, 1, 0, 0]}
"#;
        let entries = vec![
            entry(folder.path(), "teacher", Role::Teacher, teacher),
            entry(folder.path(), "student", Role::Student, student),
        ];
        let labels = ["O", "B-X", "I-X"].map(str::to_owned);
        let (task, stop) = (TaskId::TOKEN_CLASSIFICATION, StopSignal::default());
        let data = read(vec![("test".to_owned(), entries)], &[], &labels, task, &stop).unwrap();
        let report = build(data, &ReportSettings::default(), &stop).unwrap();
        let [teacher, student] = report.data[0].models.as_slice() else { panic!("two models") };
        assert_eq!(teacher.value(Metric::EntityF1), Some(1.0));
        // Of two entities one is cut short.
        assert_eq!(
            (student.value(Metric::EntityF1), student.value(Metric::TokenAccuracy)),
            (Some(0.5), Some(0.75))
        );
        assert_eq!(student.entity_errors.map(|errors| errors.wrong_boundary), Some(1));
        assert_eq!(report.data[0].errors[0].lost_rows[0].label, "X new york");
    }
}
