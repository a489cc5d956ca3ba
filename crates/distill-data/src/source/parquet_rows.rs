//! Rows of one Parquet file.

use std::path::Path;
use std::sync::Arc;
use std::vec::IntoIter;

use distill_core::StopSignal;
use distill_task::{LabelShape, TaskId};
use serde_json::Value as Json;

use super::answers::{context_of, in_context, of_columns};
use super::columns::{Columns, Role, RowKind};
use super::found::Ask;
use super::note::Note;
use super::parquet_values::{id_of, label_of, list_label, text_of, words_of};
use super::row::RawRow;
use super::sentence::{a_tag_a_word, words_of_row};
use crate::error::{At, DataError, Place};
use crate::parquet::{Column, ColumnBatches, Kind, Meaning, ParquetFile, Value};
use crate::stamp::Stamp;

/// The longest value of the key `huggingface`: as JSON in memory it takes up to fifty times as much.
const MAX_HUGGINGFACE: usize = 8 << 20;

/// A column of lists, row by row.
type Lists = IntoIter<Option<Vec<Option<Value>>>>;

/// Streams the rows of a Parquet file.
pub(super) struct ParquetRows {
    file: Arc<Path>,
    /// What the file was when it was opened.
    opened: Stamp,
    parquet: ParquetFile,
    batches: ColumnBatches,
    /// Which of the columns that are read serves which role.
    slots: [Option<usize>; 4],
    current: Vec<IntoIter<Option<Value>>>,
    /// The same of columns in which each row has a list.
    lists: [Option<Lists>; 4],
    /// Where each of the label's answers begins, and which column has it.
    starts: (Option<usize>, Option<Lists>),
    columns: Columns,
    ask: Ask,
    pub(super) notes: Vec<Note>,
    row: u64,
}

impl ParquetRows {
    pub(super) fn open(path: &Path, columns: &Columns, ask: Ask) -> Result<Self, DataError> {
        let file = ParquetFile::open(path)?;
        let opened = file.stamp()?;
        let known = file.column_names();
        let (positions, notes) = columns.positions(path, &known)?;
        let mut names: Vec<String> = Vec::new();
        let has_answers =
            |role: usize| role == Role::Label as usize && ask.problem_type.label_shape() == LabelShape::Spans;
        let slots = std::array::from_fn(|role| {
            let name = known[positions[role]?];
            let of_answers = || format!("{}.text", file.struct_in(name));
            names.push(if has_answers(role) { of_answers() } else { name.to_owned() });
            Some(names.len() - 1)
        });
        for role in Role::ALL.into_iter().filter(|role| !has_answers(*role as usize)) {
            if let Some(at) = positions[role as usize] {
                check_kind(&file, role, known[at], columns.kind, ask.problem_type)?;
            }
        }
        let mut starts = None;
        if let Some(at) = positions[Role::Label as usize].filter(|_| has_answers(Role::Label as usize)) {
            check_answers(&file, known[at])?;
            starts = Some(names.len());
            names.push(format!("{}.answer_start", file.struct_in(known[at])));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let batches = ColumnBatches::new(&file, &names)?;
        Ok(ParquetRows {
            file: Arc::clone(file.path()),
            opened,
            parquet: file,
            batches,
            slots,
            current: Vec::new(),
            lists: Default::default(),
            starts: (starts, None),
            columns: columns.clone(),
            ask,
            notes,
            row: 0,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// blake3 of the file, all of whose rows have been read: their pages lie anywhere in it, so that it is read again.
    pub(super) fn hash(&self, stop: &StopSignal) -> Result<String, DataError> {
        let hash = self.parquet.hash(stop)?;
        match self.opened.difference(&self.parquet.stamp()?) {
            Some(what) => Err(DataError::Changed { file: self.file.to_path_buf(), what }),
            None => Ok(hash),
        }
    }

    pub(super) fn next_row(&mut self) -> Result<Option<RawRow>, DataError> {
        if self.is_spent() {
            let Some(batch) = self.batches.next_batch()? else { return Ok(None) };
            self.take_batch(batch)?;
        }
        self.row += 1;
        let place = Place { file: Arc::clone(&self.file), at: At::Row(self.row) };
        let mut values = self.slots.map(|slot| slot.map(|slot| self.current[slot].next().flatten()));
        let error = |role: Role, what: String| DataError::value(&place, self.columns.name(role), what);
        let mut take = |role: Role| values[role as usize].take();
        let id = match take(Role::Id) {
            None => None,
            Some(value) => Some(id_of(value).map_err(|what| error(Role::Id, what))?),
        };
        let mut list = |role: Role| self.lists[role as usize].as_mut().map(|lists| lists.next().flatten());
        let found = match list(Role::Text) {
            Some(words) => words_of(words).and_then(words_of_row).map(|(text, words)| (text, Some(words))),
            None => text_of(take(Role::Text).flatten())
                .and_then(|text| text.ok_or("null".to_owned()))
                .map(|text| (text, None)),
        };
        let (text, tokens) = found.map_err(|what| error(Role::Text, what))?;
        let text_pair = text_of(take(Role::TextPair).flatten())
            .and_then(|text_pair| context_of(self.columns.kind, text_pair));
        let text_pair = text_pair.map_err(|what| error(Role::TextPair, what))?;
        let begin = self.starts.1.as_mut().map(|lists| lists.next().flatten());
        let label = match list(Role::Label) {
            Some(texts) if begin.is_some() => of_columns(texts, begin.flatten()),
            Some(list) => list.map_or(Ok(None), |list| list_label(list, self.ask)),
            None => label_of(take(Role::Label).flatten(), self.ask),
        };
        let label = label
            .and_then(|label| a_tag_a_word(label, tokens.as_deref()))
            .and_then(|label| in_context(label, text_pair.as_deref()));
        let label = label.map_err(|what| error(Role::Label, what))?;
        Ok(Some(RawRow { id, text, text_pair, tokens, label, place }))
    }

    /// Whether all rows of the batch were taken.
    fn is_spent(&self) -> bool {
        let text = Role::Text as usize;
        match (&self.lists[text], self.slots[text].and_then(|slot| self.current.get(slot))) {
            (Some(lists), _) => lists.as_slice().is_empty(),
            (None, Some(column)) => column.as_slice().is_empty(),
            (None, None) => true,
        }
    }

    fn take_batch(&mut self, mut batch: Vec<Column>) -> Result<(), DataError> {
        for role in Role::ALL {
            self.lists[role as usize] = None;
            if let Some(slot) = self.slots[role as usize]
                .filter(|_| can_be_list(role, self.columns.kind, self.ask.problem_type))
                && let Some(lists) = batch[slot].lists()
            {
                self.lists[role as usize] = Some(lists.into_iter());
                // Its place stays, so that the others keep theirs.
                batch[slot] = Column::Flat(Vec::new());
            }
        }
        self.starts.1 = None;
        if let Some(slot) = self.starts.0
            && let Some(lists) = batch[slot].lists()
        {
            self.starts.1 = Some(lists.into_iter());
            batch[slot] = Column::Flat(Vec::new());
        }
        self.current = batch.into_iter().map(|column| self.flat(column)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn flat(&self, column: Column) -> Result<IntoIter<Option<Value>>, DataError> {
        match column {
            Column::Flat(values) => Ok(values.into_iter()),
            Column::List(_) | Column::Values(_) => Err(DataError::ColumnType {
                file: self.file.to_path_buf(),
                column: Role::ALL.map(|role| self.columns.name(role)).join(" or "),
                expected: "one value per row",
                found: "lists".to_owned(),
            }),
        }
    }
}

/// Refuses a column whose values cannot have this role, by its type, before any of them is read.
fn check_kind(
    file: &ParquetFile,
    role: Role,
    column: &str,
    kind: RowKind,
    problem_type: TaskId,
) -> Result<(), DataError> {
    let several = can_be_list(role, kind, problem_type);
    let must = must_be_list(role, kind, problem_type);
    let (fits, found) = match file.kind(column) {
        None => return Ok(()),
        Some(Kind::Flat(meaning)) => {
            (!must && can_be(meaning, role, problem_type), format!("{meaning} values"))
        }
        Some(Kind::List(meaning)) => {
            (several && can_be(meaning, role, problem_type), format!("lists of {meaning} values"))
        }
        Some(Kind::Other(found)) => (false, found),
    };
    match fits {
        true => Ok(()),
        false => Err(DataError::ColumnType {
            file: file.path().to_path_buf(),
            column: column.to_owned(),
            expected: expected(role, kind, problem_type),
            found,
        }),
    }
}

/// Refuses a column of answers that has neither a list of texts and one of starts, nor a list of both.
fn check_answers(file: &ParquetFile, column: &str) -> Result<(), DataError> {
    let of = |part: &str| file.kind(&format!("{}.{part}", file.struct_in(column)));
    match (of("text"), of("answer_start")) {
        (Some(Kind::List(Meaning::Text)), Some(Kind::List(Meaning::Integer { .. }))) => Ok(()),
        _ => Err(DataError::ColumnType {
            file: file.path().to_path_buf(),
            column: column.to_owned(),
            expected: "a struct of the lists text (strings) and answer_start (whole numbers), or a list of structs with \
                       one of each",
            found: "other values".to_owned(),
        }),
    }
}

/// Whether a row may have a list in this role.
fn can_be_list(role: Role, kind: RowKind, task: TaskId) -> bool {
    let shape = task.label_shape();
    must_be_list(role, kind, task)
        || (role == Role::Label && matches!(shape, LabelShape::Classes | LabelShape::Spans))
}

/// Whether a row must.
fn must_be_list(role: Role, kind: RowKind, task: TaskId) -> bool {
    match role {
        Role::Text => kind == RowKind::Words,
        Role::Label => task.label_shape() == LabelShape::Tags,
        Role::Id | Role::TextPair => false,
    }
}

fn can_be(meaning: Meaning, role: Role, problem_type: TaskId) -> bool {
    let is_number = matches!(meaning, Meaning::Integer { .. } | Meaning::Float | Meaning::Decimal { .. });
    match role {
        Role::Id => !matches!(meaning, Meaning::Float | Meaning::Bool),
        Role::Text | Role::TextPair => !is_number && meaning != Meaning::Bool,
        // A string may be empty: no label.
        Role::Label if problem_type.label_shape() == LabelShape::Value => is_number || meaning == Meaning::Text,
        Role::Label => true,
    }
}

fn expected(role: Role, kind: RowKind, problem_type: TaskId) -> &'static str {
    match (role, problem_type.label_shape()) {
        (Role::Id, _) => "strings or whole numbers (for id)",
        (Role::Text, _) if kind == RowKind::Words => "lists of strings (for tokens)",
        (Role::Label, LabelShape::Tags) => "lists of names or ids (for tags)",
        (Role::Text, _) => "strings (for text)",
        (Role::TextPair, _) => "strings (for text_pair)",
        (Role::Label, LabelShape::Class) => "one name or id per row (for label)",
        (Role::Label, LabelShape::Classes) => "lists of names or ids (for label)",
        (Role::Label, LabelShape::Value) => "numbers (for label)",
        (Role::Label, LabelShape::Spans) => "no column named label",
    }
}

/// The label names that `datasets` keeps under the key `huggingface` of the footer.
pub(super) fn class_names(path: &Path, columns: &Columns) -> Result<Option<Vec<String>>, DataError> {
    let file = ParquetFile::open(path)?;
    let known = file.column_names();
    let label = match columns.alike(Role::Label, &known) {
        Some(at) if !known.contains(&columns.label_name()) => known[at],
        _ => columns.label_name(),
    };
    let Some(text) = file.key_value("huggingface") else { return Ok(None) };
    if text.len() > MAX_HUGGINGFACE {
        return Err(DataError::damaged(path, "its key \"huggingface\" holds more than 8 MiB"));
    }
    let Ok(metadata) = serde_json::from_str::<Json>(text) else { return Ok(None) };
    let feature = &metadata["info"]["features"][label];
    // Of one class, of a list in the older form, and in the newer.
    let places = [&feature["names"], &feature["feature"]["names"], &feature[0]["names"]];
    let names = places.into_iter().find_map(Json::as_array);
    Ok(names.and_then(|names| names.iter().map(|name| name.as_str().map(str::to_owned)).collect()))
}
