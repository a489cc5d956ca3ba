//! Rows of JSON lines: one object a line.

use std::path::Path;
use std::sync::Arc;

use distill_task::LabelShape;

use super::answers::{context_of, in_context, of_pairs};
use super::columns::{Columns, Role, RowKind};
use super::found::{Ask, Found, LabelType, Several};
use super::json_value::{JsonValue, List, keys, pick};
use super::labels::{RawLabel, finite, one_class, several_from_text};
use super::lines::Lines;
use super::note::Note;
use super::row::RawRow;
use super::sentence::{a_tag_a_word, of_tag, of_tags, words_of_row};
use super::watch::SharedHasher;
use crate::error::{DataError, Place};

/// Streams the objects of a JSONL file.
pub(super) struct JsonRows {
    lines: Lines,
    columns: Columns,
    /// The keys of the four columns.
    names: [String; 4],
    ask: Ask,
    file: Arc<Path>,
    pub(super) notes: Vec<Note>,
    /// Which columns any row had: one that the user named must turn up at least once.
    seen: [bool; 4],
    /// Whether rows have ids, as the first one decides.
    has_id: Option<bool>,
    any: bool,
}

impl JsonRows {
    pub(super) fn open(
        path: &Arc<Path>,
        columns: &Columns,
        ask: Ask,
        hasher: Option<SharedHasher>,
    ) -> Result<Self, DataError> {
        let lines = Lines::open_hashed(path, hasher)?;
        let known = first_keys(path).unwrap_or_default();
        let mut notes = Vec::new();
        let names = Role::ALL.map(|role| {
            let exact = columns.name(role);
            let alike = columns.alike(role, &known).filter(|_| !known.iter().any(|key| key == exact));
            let found = alike.map_or(exact, |at| known[at].as_str()).to_owned();
            if found != exact {
                notes.push(columns.taken_as(path, role, &found));
            }
            found
        });
        Ok(JsonRows {
            lines,
            columns: columns.clone(),
            names,
            ask,
            file: Arc::clone(path),
            notes,
            seen: [false; 4],
            has_id: None,
            any: false,
        })
    }

    pub(super) fn next_row(&mut self) -> Result<Option<RawRow>, DataError> {
        let Some(line) = self.lines.next_line()? else {
            return self.check_seen().map(|()| None);
        };
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        // Another spelling was taken for these: that the name itself turns up later must not be missed.
        let aliased: Vec<Role> = Role::ALL
            .into_iter()
            .filter(|role| self.columns.name(*role) != self.names[*role as usize])
            .collect();
        names.extend(aliased.iter().map(|role| self.columns.name(*role)));
        let label = if self.columns.kind == RowKind::Answers { List::Answers } else { List::Labels };
        let lists = [(Role::Label, label), (Role::Text, List::Labels)];
        let lists = lists.map(|(role, list)| (self.names[role as usize].as_str(), list));
        let lists = if self.columns.kind == RowKind::Words { &lists[..] } else { &lists[..1] };
        let picked = pick(line, &names, lists);
        let needed: &[Role] =
            if self.columns.kind == RowKind::Answers { &[Role::Text, Role::TextPair] } else { &[Role::Text] };
        let missing = |fields: &Vec<Option<JsonValue>>| {
            needed.iter().copied().find(|role| fields[*role as usize].is_none())
        };
        let missing = picked.as_ref().ok().and_then(missing).map(|role| (role, keys(line)));
        let place = self.lines.place();
        let mut fields = picked.map_err(|what| DataError::record(&place, what))?;
        let again = fields.split_off(Role::ALL.len());
        if let Some((role, _)) = aliased.iter().zip(&again).find(|(_, field)| field.is_some()) {
            let (name, taken) = (self.columns.name(*role), &self.names[*role as usize]);
            return Err(DataError::value(&place, name, format!("rows before it have {taken:?} in its place")));
        }
        for role in Role::ALL.into_iter().filter(|role| self.columns.is_off(*role)) {
            fields[role as usize] = None;
        }
        for (seen, field) in self.seen.iter_mut().zip(&fields) {
            *seen |= field.is_some();
        }
        if let Some((role, known)) = missing {
            return Err(self.no_text(&place, role, &known));
        }
        self.any = true;
        self.row(fields, place).map(Some)
    }

    fn row(&mut self, fields: Vec<Option<JsonValue>>, place: Place) -> Result<RawRow, DataError> {
        let names = self.names.clone();
        let at = |role: Role| (&place, names[role as usize].as_str());
        let [id, text, text_pair, label] = <[Option<JsonValue>; 4]>::try_from(fields).unwrap_or_default();
        let id = id.map(|id| id_of(&id).map_err(|what| value_error(at(Role::Id), what))).transpose()?;
        if *self.has_id.get_or_insert(id.is_some()) != id.is_some() {
            let what = if id.is_some() { "an id, but rows before it have none" } else { "missing here" };
            return Err(value_error(at(Role::Id), what));
        }
        let text = text.unwrap_or(JsonValue::Null);
        let found = match self.columns.kind {
            RowKind::Words => words_of(text).and_then(words_of_row).map(|(text, words)| (text, Some(words))),
            _ => text_of(text).and_then(|text| text.ok_or("null".to_owned())).map(|text| (text, None)),
        };
        let (text, tokens) = found.map_err(|what| value_error(at(Role::Text), what))?;
        let text_pair = text_of(text_pair.unwrap_or(JsonValue::Null))
            .and_then(|text_pair| context_of(self.columns.kind, text_pair));
        let text_pair = text_pair.map_err(|what| value_error(at(Role::TextPair), what))?;
        let label = label_of(&label.unwrap_or(JsonValue::Null), self.ask)
            .and_then(|label| a_tag_a_word(label, tokens.as_deref()))
            .and_then(|label| in_context(label, text_pair.as_deref()));
        let label = label.map_err(|what| value_error(at(Role::Label), what))?;
        Ok(RawRow { id, text, text_pair, tokens, label, place })
    }

    /// A text that every row needs is not in this one.
    fn no_text(&self, place: &Place, role: Role, known: &[String]) -> DataError {
        let name = self.columns.name(role);
        match self.any {
            true => DataError::value(place, name, "missing here"),
            false => DataError::missing_column(&self.file, name, self.columns.word(role), known),
        }
    }

    /// At the end of the file: every column that the user named has turned up.
    fn check_seen(&mut self) -> Result<(), DataError> {
        if self.any && !self.seen[Role::Label as usize] {
            self.notes.extend(self.columns.near_label(&self.file, &first_keys(&self.file)?));
        }
        for (seen, role) in self.seen.iter().zip(Role::ALL) {
            if self.any && !seen && self.columns.required(role) {
                let known = first_keys(&self.file)?;
                return Err(DataError::missing_column(
                    &self.file,
                    self.columns.name(role),
                    self.columns.word(role),
                    &known,
                ));
            }
        }
        Ok(())
    }
}

fn value_error((place, column): (&Place, &str), what: impl Into<String>) -> DataError {
    DataError::value(place, column, what)
}

fn first_keys(file: &Arc<Path>) -> Result<Vec<String>, DataError> {
    Ok(Lines::open(file)?.next_line()?.map(keys).unwrap_or_default())
}

/// An id as text: a string or a whole number.
pub(crate) fn id_of(value: &JsonValue) -> Result<String, String> {
    match value {
        JsonValue::Text(text) => Ok(text.clone()),
        JsonValue::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        other => Err(format!("{other} is neither a string nor a whole number")),
    }
}

/// The words of a row.
pub(crate) fn words_of(value: JsonValue) -> Result<Vec<String>, String> {
    let words = match value {
        JsonValue::Labels(words) => words,
        other => return Err(format!("{other} is not a list of words")),
    };
    let word = |(number, word): (usize, JsonValue)| match word {
        JsonValue::Text(word) => Ok(word),
        other => Err(format!("word {number} is {other}, not a string")),
    };
    (1..).zip(words).map(word).collect()
}

/// A text, or none for null.
pub(crate) fn text_of(value: JsonValue) -> Result<Option<String>, String> {
    match value {
        JsonValue::Text(text) => Ok(Some(text)),
        JsonValue::Null => Ok(None),
        other => Err(format!("{other} is not a string")),
    }
}

/// A row's label, or none for null and the empty string.
pub(crate) fn label_of(value: &JsonValue, ask: Ask) -> Result<Option<Found>, String> {
    match (ask.problem_type.label_shape(), value) {
        (LabelShape::Class, one) => {
            if let JsonValue::Text(text) = one {
                one_class(text, ask)?;
            }
            Ok(class_of(one, ask.label_type)?.map(Found::One))
        }
        (_, JsonValue::Null) => Ok(None),
        (_, JsonValue::Text(text)) if text.trim().is_empty() => Ok(None),
        (LabelShape::Classes, JsonValue::Labels(labels)) => {
            let several = Several::of(labels.iter().map(|label| class_of(label, ask.label_type)))?;
            let is_float = |label: &JsonValue| matches!(label, JsonValue::Number(number) if number.is_f64());
            Ok(Some(Found::Several(Several { floats: labels.iter().any(is_float), ..several })))
        }
        (LabelShape::Classes, JsonValue::Text(text)) => {
            several_from_text(text, ask).map(|several| Some(Found::Several(several)))
        }
        (LabelShape::Classes, other) => Err(format!("{other} is not a list of names or ids")),
        (LabelShape::Value, JsonValue::Number(number)) => finite(number.as_f64().unwrap_or(f64::NAN)).map(Some),
        (LabelShape::Value, other) => Err(format!("{other} is not a number")),
        (LabelShape::Tags, JsonValue::Labels(tags)) => {
            let tags = tags.iter().map(|tag| class_of(tag, ask.label_type).map(of_tag));
            tags.collect::<Result<_, _>>().map(of_tags)
        }
        (LabelShape::Tags, other) => Err(format!("{other} is not a list of tags")),
        (LabelShape::Spans, JsonValue::Answers(answers)) => Ok(Some(Found::Answers(answers.clone()))),
        (LabelShape::Spans, JsonValue::Labels(ends)) => {
            let end = |end: &JsonValue| if let JsonValue::Number(end) = end { end.as_i64() } else { None };
            of_pairs(&ends.iter().map(end).collect::<Vec<_>>()).map(Some)
        }
        (LabelShape::Spans, other) => Err(format!("{other} is not answers with text and answer_start")),
    }
}

/// A class, or none for null and the empty string.
fn class_of(value: &JsonValue, label_type: Option<LabelType>) -> Result<Option<RawLabel>, String> {
    let by_name = label_type == Some(LabelType::Name);
    match value {
        JsonValue::Null => Ok(None),
        JsonValue::Text(name) => RawLabel::from_name(name, label_type),
        JsonValue::Bool(_) | JsonValue::Number(_) if by_name => Ok(Some(RawLabel::Name(value.to_string()))),
        JsonValue::Bool(flag) => Ok(Some(RawLabel::Id(i64::from(*flag)))),
        JsonValue::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(id), _) => Ok(Some(RawLabel::Id(id))),
            (None, Some(float)) => RawLabel::from_float(float).map(Some),
            (None, None) => Err(format!("{number} is not a label")),
        },
        other => Err(format!("{other} is neither a name nor an id")),
    }
}
