//! The fields of a row in a table of logits: found by a format's reader, then interpreted.

use std::path::Path;

use distill_core::hash::TEXT_HASH_LEN;
use distill_task::TaskId;

use super::fingerprint::Fingerprint;
use super::foreign::{LOGITS, PROBABILITIES};
use super::row::{TableRow, check_positions};
use super::schema::COLUMNS;
use crate::error::{DataError, Place};
use crate::parquet::{Column, Value};
use crate::source::found::Found;
use crate::source::json_rows;
use crate::source::json_value::{JsonValue as Json, List, pick};
use crate::source::parquet_values;
use crate::source::{Label, RawLabel, Reading};

/// Places in [`COLUMNS`].
pub(super) const TOKENS: usize = 5;
pub(super) const LABEL: usize = 6;
pub(super) const POSITIONS: usize = 7;
pub(super) const VALUES: usize = 8;

/// Columns that other tables may have for something else where a row has one prediction.
pub(super) const RAGGED: [&str; 2] = [COLUMNS[TOKENS], COLUMNS[POSITIONS]];

/// What a format's reader found: the fields in the order of [`COLUMNS`], not yet interpreted.
pub(super) struct Fields {
    pub flat: [Option<Cell>; 8],
    pub logits: Option<Vec<f32>>,
}

/// One field of a row.
pub(super) enum Cell {
    Parquet(Option<Value>),
    Json(Json),
    /// A row's list, in a column of lists.
    List(Option<Vec<Option<Value>>>),
    /// A label that was read already.
    Label(Option<Label<RawLabel>>),
}

pub(super) fn json_fields(line: &str, task: TaskId) -> Result<(Fields, &'static str), String> {
    let names: Vec<&str> = COLUMNS.into_iter().chain([PROBABILITIES]).collect();
    let lists = [(LOGITS, List::Numbers), (PROBABILITIES, List::Numbers), (COLUMNS[LABEL], List::Labels)];
    let ragged = RAGGED.map(|name| (name, List::Labels));
    let is_ragged = Fingerprint::is_ragged(task);
    let lists: Vec<_> = lists.into_iter().chain(ragged.into_iter().filter(|_| is_ragged)).collect();
    let mut values = pick(line, &names, &lists)?;
    for column in [TOKENS, POSITIONS].into_iter().filter(|_| !is_ragged) {
        values[column] = None;
    }
    let given = |value: Option<Option<Json>>| value.flatten().filter(|value| *value != Json::Null);
    let (probabilities, logits) = (given(values.pop()), given(values.pop()));
    let (list, from) = match (logits, probabilities) {
        (None, Some(list)) => (Some(list), PROBABILITIES),
        (list, _) => (list, LOGITS),
    };
    let array = match list {
        None => None,
        Some(Json::Numbers(values)) => Some(values),
        Some(Json::NotNumbers(class, value)) => {
            let one = if from == LOGITS { "logit" } else { "probability" };
            return Err(format!("{from}: {one} {class} is {value}, not a number"));
        }
        Some(other) => return Err(format!("{from}: {other} is not a list of numbers")),
    };
    let mut values = values.into_iter();
    let flat = std::array::from_fn(|_| values.next().flatten().map(Cell::Json));
    Ok((Fields { flat, logits: array }, from))
}

/// Turns a batch of columns into rows.
pub(super) fn parquet_fields(
    path: &Path,
    batch: Vec<Column>,
    slots: &[Option<usize>; 9],
    problem_type: TaskId,
) -> Result<Vec<Fields>, DataError> {
    let wrong = |role: usize, expected, found: &str| DataError::ColumnType {
        file: path.to_owned(),
        column: COLUMNS[role].to_owned(),
        expected,
        found: found.to_owned(),
    };
    let mut columns: Vec<Option<Column>> = batch.into_iter().map(Some).collect();
    let mut take = |role: usize| slots[role].and_then(|slot| columns.get_mut(slot)?.take());
    let Some(Column::List(lists)) = take(VALUES) else {
        return Err(wrong(VALUES, "lists of float", "plain values"));
    };
    let mut rows: Vec<Fields> =
        lists.into_iter().map(|logits| Fields { flat: Default::default(), logits }).collect();
    let is_list = |role| role != LABEL || problem_type.label_shape().column().is_list();
    for role in 0..VALUES {
        match take(role) {
            None => {}
            Some(mut lists @ (Column::List(_) | Column::Values(_)))
                if [TOKENS, LABEL, POSITIONS].contains(&role) && is_list(role) =>
            {
                for (row, list) in rows.iter_mut().zip(lists.lists().unwrap_or_default()) {
                    row.flat[role] = Some(Cell::List(list));
                }
            }
            Some(Column::List(_) | Column::Values(_)) => return Err(wrong(role, "one value per row", "lists")),
            Some(Column::Flat(values)) => {
                for (row, value) in rows.iter_mut().zip(values) {
                    row.flat[role] = Some(Cell::Parquet(value));
                }
            }
        }
    }
    Ok(rows)
}

pub(super) fn interpret(
    fields: Fields,
    position: u64,
    place: Place,
    values: &'static str,
    problem_type: TaskId,
) -> Result<TableRow, DataError> {
    let Fields { flat, logits } = fields;
    let [row, id, hash, text, text_pair, tokens, label, positions] = flat;
    let error = |column: usize| {
        let place = place.clone();
        let name = if column == VALUES { values } else { COLUMNS[column] };
        move |what: String| DataError::value(&place, name, what)
    };
    let row = row.map_or(Ok(position as i64), row_of).map_err(error(0))?;
    let id = id.map_or(Ok(row.to_string()), id_of).map_err(error(1))?;
    let text_hash = hash.map_or(Ok(None), hash_of).map_err(error(2))?;
    let text = text.map_or(Ok(None), text_of).map_err(error(3))?;
    let text_pair = text_pair.map_or(Ok(None), text_of).map_err(error(4))?;
    let tokens = tokens.map_or(Ok(None), words_of).map_err(error(TOKENS))?;
    let positions =
        positions.map_or(Ok(None), |cell| positions_of(cell, problem_type)).map_err(error(POSITIONS))?;
    let ask = problem_type.into();
    let num_labels = logits.as_ref().map(Vec::len);
    let label = match label {
        None => Ok(None),
        Some(Cell::Json(value)) => {
            json_rows::label_of(&value, ask).and_then(|label| as_it_is(label, num_labels))
        }
        Some(Cell::Parquet(value)) => {
            parquet_values::label_of(value, ask).and_then(|label| as_it_is(label, num_labels))
        }
        Some(Cell::List(list)) => {
            let found = list.map_or(Ok(None), |list| parquet_values::list_label(list, ask));
            found.and_then(|label| as_it_is(label, num_labels))
        }
        Some(Cell::Label(label)) => Ok(label),
    };
    let label = label.map_err(error(LABEL))?;
    let logits = logits.ok_or_else(|| error(VALUES)(format!("missing (row id {id:?})")))?;
    if let Some((class, value)) = logits.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        let kind = if values == LOGITS { "logit" } else { "probability" };
        return Err(error(VALUES)(format!("{kind} {class} is {value} (row id {id:?})")));
    }
    Ok(TableRow { row, id, text_hash, text, text_pair, tokens, label, positions, logits, place })
}

/// A label without a look at those of other rows: what can only be a vector of 0 and 1 is one.
fn as_it_is(found: Option<Found>, num_labels: Option<usize>) -> Result<Option<Label<RawLabel>>, String> {
    let Some(found) = found else { return Ok(None) };
    let reading = match &found {
        Found::Several(several) if Some(several.classes.len()) == num_labels && several.is_vector() => {
            Reading::vectors()
        }
        _ => Reading::default(),
    };
    reading.apply(found)
}

pub(super) fn row_of(cell: Cell) -> Result<i64, String> {
    let row = match cell {
        Cell::Json(Json::Number(number)) => number.as_i64(),
        Cell::Json(_) => None,
        Cell::Parquet(Some(Value::Integer(row))) => Some(row),
        Cell::Parquet(_) | Cell::List(_) | Cell::Label(_) => None,
    };
    row.filter(|row| *row >= 0).ok_or_else(|| "not a row number".to_owned())
}

pub(super) fn id_of(cell: Cell) -> Result<String, String> {
    match cell {
        Cell::Json(value) => json_rows::id_of(&value),
        Cell::Parquet(value) => parquet_values::id_of(value),
        Cell::List(_) | Cell::Label(_) => Err("a list is not an id".to_owned()),
    }
}

pub(super) fn text_of(cell: Cell) -> Result<Option<String>, String> {
    match cell {
        Cell::Json(value) => json_rows::text_of(value),
        Cell::Parquet(value) => parquet_values::text_of(value),
        Cell::List(_) | Cell::Label(_) => Err("not a string".to_owned()),
    }
}

/// The words of a row, or none for null.
pub(super) fn words_of(cell: Cell) -> Result<Option<Vec<String>>, String> {
    match cell {
        Cell::Json(Json::Null) | Cell::List(None) | Cell::Parquet(None) => Ok(None),
        Cell::Json(words) => json_rows::words_of(words).map(Some),
        Cell::List(words) => parquet_values::words_of(words).map(Some),
        Cell::Parquet(_) | Cell::Label(_) => Err("not a list of words".to_owned()),
    }
}

/// Numbers of positions, or none for null.
pub(super) fn positions_of(cell: Cell, task: TaskId) -> Result<Option<Vec<i32>>, String> {
    let expected = || "not a list of whole numbers".to_owned();
    let numbers: Vec<Option<i64>> = match cell {
        Cell::Json(Json::Null) | Cell::List(None) | Cell::Parquet(None) => return Ok(None),
        Cell::Json(Json::Labels(numbers)) => {
            let number = |value: &Json| if let Json::Number(number) = value { number.as_i64() } else { None };
            numbers.iter().map(number).collect()
        }
        Cell::List(Some(numbers)) => {
            let number = |value| if let Some(Value::Integer(number)) = value { Some(number) } else { None };
            numbers.into_iter().map(number).collect()
        }
        _ => return Err(expected()),
    };
    let positions: Option<Vec<i32>> = numbers.into_iter().map(|number| i32::try_from(number?).ok()).collect();
    let positions = positions.ok_or_else(expected)?;
    check_positions(&positions, task).map_err(|expected| format!("not a list of {expected}"))?;
    Ok(Some(positions))
}

/// 16 bytes in Parquet, 32 hexadecimal digits in JSON.
pub(super) fn hash_of(cell: Cell) -> Result<Option<[u8; TEXT_HASH_LEN]>, String> {
    let hash = match &cell {
        Cell::Json(Json::Null) | Cell::Parquet(None) => return Ok(None),
        Cell::Json(Json::Text(digits)) => from_hex(digits),
        Cell::Parquet(Some(Value::Bytes(bytes))) => bytes.data().try_into().ok(),
        _ => None,
    };
    hash.map(Some).ok_or_else(|| format!("not a hash of {TEXT_HASH_LEN} bytes"))
}

fn from_hex(digits: &str) -> Option<[u8; TEXT_HASH_LEN]> {
    u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 2 * TEXT_HASH_LEN).map(u128::to_be_bytes)
}
