//! Reading a table of logits, as distill or any other program wrote it.

use std::path::Path;
use std::sync::Arc;

use distill_core::hash::TEXT_HASH_LEN;
use distill_task::TaskId;

use super::fingerprint::{FINGERPRINT_KEY, Fingerprint};
use super::foreign::{LOGITS, PROBABILITIES, Record, separated, to_logits};
use super::row::{TableRow, check_positions};
use super::schema::COLUMNS;
use crate::error::{At, DataError, Place};
use crate::parquet::{Column, ColumnBatches, ParquetFile, Value};
use crate::source::found::Found;
use crate::source::json_rows;
use crate::source::json_value::{JsonValue as Json, List, pick};
use crate::source::lines::Lines;
use crate::source::parquet_rows;
use crate::source::{Label, RawLabel, Reading, Rows, Source};

/// A table of logits: a Parquet file, or JSON lines with an array `logits`. Besides `logits` it may have
/// `row`, `id`, `text_hash`, `text`, `text_pair` and `label`; other columns are ignored. A CSV or TSV file
/// has the array as JSON in a cell, and may have `id` and `label`. In place of `logits` there may be
/// `probabilities`, which become logits with the same softmax, or of several labels a row the same sigmoids.
pub struct LogitsTable {
    path: Arc<Path>,
    parquet: Option<ParquetFile>,
    separated: Option<Source>,
    fingerprint: Option<Fingerprint>,
    problem_type: TaskId,
}

impl LogitsTable {
    /// Opens a `.parquet`, `.jsonl`, `.ndjson`, `.csv` or `.tsv` file.
    ///
    /// # Errors
    /// [`DataError::File`], [`DataError::Format`] for another ending, [`DataError::Damaged`],
    /// [`DataError::MissingColumn`] without `logits` and `probabilities`.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let (parquet, separated) = match ending.as_str() {
            "parquet" => (Some(ParquetFile::open(path)?), None),
            "jsonl" | "ndjson" => Lines::open(&Arc::from(path)).map(|_| (None, None))?,
            "csv" | "tsv" => (None, Some(separated(path)?)),
            _ => {
                let what = "a table of logits must end in .parquet, .jsonl, .ndjson, .csv or .tsv".to_owned();
                return Err(DataError::Format { file: path.to_owned(), what });
            }
        };
        if let Some(file) = parquet {
            return Self::of_parquet(file);
        }
        let problem_type = TaskId::default();
        Ok(LogitsTable { path: path.into(), parquet: None, separated, fingerprint: None, problem_type })
    }

    /// The table of an open file.
    ///
    /// # Errors
    /// [`DataError::Damaged`], [`DataError::MissingColumn`] without `logits` and `probabilities`.
    pub(super) fn of_parquet(file: ParquetFile) -> Result<Self, DataError> {
        let path = Arc::clone(file.path());
        let names = file.column_names();
        if !names.contains(&LOGITS) && !names.contains(&PROBABILITIES) {
            return Err(DataError::missing_column(&path, "logits", "logits", &names));
        }
        let json = file.key_value(FINGERPRINT_KEY);
        let fingerprint = json.map(|json| Fingerprint::from_json(json, &path)).transpose()?;
        let problem_type = fingerprint.as_ref().map(|fingerprint| fingerprint.problem_type).unwrap_or_default();
        Ok(LogitsTable { path, parquet: Some(file), separated: None, fingerprint, problem_type })
    }

    /// The same table, whose logits mean this where it does not say what they mean itself.
    pub fn labelled(self, problem_type: TaskId) -> Self {
        if self.fingerprint.is_some() { self } else { LogitsTable { problem_type, ..self } }
    }

    /// What the logits mean.
    pub fn problem_type(&self) -> TaskId {
        self.problem_type
    }

    /// The fingerprint, where distill wrote the file.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.fingerprint.as_ref()
    }

    /// Number of rows, where the format says it without reading them.
    pub fn num_rows(&self) -> Option<u64> {
        self.parquet.as_ref().map(ParquetFile::num_rows)
    }

    /// A stream over the rows; memory does not grow with their number. It ends after the first error.
    ///
    /// # Errors
    /// [`DataError::File`], [`DataError::ColumnType`]. All others come out of the stream.
    pub fn rows(&self) -> Result<TableRows, DataError> {
        let mut values = LOGITS;
        let reader = match (&self.parquet, &self.separated) {
            (None, None) => Reader::Json(Lines::open(&self.path)?),
            (None, Some(source)) => {
                values = if source.columns().text_name() == LOGITS { LOGITS } else { PROBABILITIES };
                Reader::Separated(Box::new(source.clone().labelled(self.problem_type).rows()?))
            }
            (Some(file), _) => {
                let names = file.column_names();
                let mut columns = COLUMNS;
                if !names.contains(&LOGITS) {
                    (values, columns[COLUMNS.len() - 1]) = (PROBABILITIES, PROBABILITIES);
                }
                let is_ragged = Fingerprint::is_ragged(self.problem_type);
                let of_task = |name: &&str| is_ragged || !RAGGED.contains(name);
                let mut found: Vec<&str> =
                    columns.into_iter().filter(|name| names.contains(name)).filter(of_task).collect();
                found.dedup();
                let slots = columns.map(|name| found.iter().position(|found| *found == name));
                let batches = ColumnBatches::new(file, &found)?;
                Reader::Parquet { batches: Box::new(batches), slots, current: Vec::new().into_iter() }
            }
        };
        Ok(TableRows {
            path: Arc::clone(&self.path),
            problem_type: self.problem_type,
            reader,
            values,
            read: 0,
            num_labels: None,
            failed: false,
        })
    }
}

/// The stream of a table's rows.
pub struct TableRows {
    path: Arc<Path>,
    problem_type: TaskId,
    reader: Reader,
    /// The column that the values are from.
    values: &'static str,
    read: u64,
    num_labels: Option<usize>,
    failed: bool,
}

enum Reader {
    Json(Lines),
    Separated(Box<Rows>),
    Parquet { batches: Box<ColumnBatches>, slots: [Option<usize>; 9], current: std::vec::IntoIter<Fields> },
}

/// Columns that other tables may have for something else where a row has one prediction.
const RAGGED: [&str; 2] = [COLUMNS[TOKENS], COLUMNS[POSITIONS]];

/// Places in [`COLUMNS`].
const TOKENS: usize = 5;
const LABEL: usize = 6;
const POSITIONS: usize = 7;
const VALUES: usize = 8;

/// What a format's reader found: the fields in the order of [`COLUMNS`], not yet interpreted.
struct Fields {
    flat: [Option<Cell>; 8],
    logits: Option<Vec<f32>>,
}

enum Cell {
    Parquet(Option<Value>),
    Json(Json),
    /// A row's list, in a column of lists.
    List(Option<Vec<Option<Value>>>),
    /// A label that was read already.
    Label(Option<Label<RawLabel>>),
}

impl Iterator for TableRows {
    type Item = Result<TableRow, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let row = self.next_row().transpose();
        self.failed = matches!(row, Some(Err(_)) | None);
        row
    }
}

impl TableRows {
    fn next_row(&mut self) -> Result<Option<TableRow>, DataError> {
        let (fields, place) = match &mut self.reader {
            Reader::Json(lines) => {
                let Some(line) = lines.next_line()? else { return self.end() };
                let fields = json_fields(line, self.problem_type);
                let place = lines.place();
                let (fields, values) = fields.map_err(|what| DataError::record(&place, what))?;
                self.values = values;
                (fields, place)
            }
            Reader::Separated(rows) => {
                let Some(row) = rows.next() else { return self.end() };
                let row = row?;
                let place = row.place.clone();
                let record = Record::of(row).map_err(|what| DataError::value(&place, self.values, what))?;
                let (id, label) = (Some(Cell::Json(record.id)), Some(Cell::Label(record.label)));
                let flat = [None, id, None, None, None, None, label, None];
                (Fields { flat, logits: Some(record.logits) }, place)
            }
            Reader::Parquet { batches, slots, current } => {
                if current.as_slice().is_empty() {
                    let Some(batch) = batches.next_batch()? else { return self.end() };
                    *current = parquet_fields(&self.path, batch, slots, self.problem_type)?.into_iter();
                }
                let Some(fields) = current.next() else { return self.end() };
                (fields, Place { file: Arc::clone(&self.path), at: At::Row(self.read + 1) })
            }
        };
        let mut row = interpret(fields, self.read, place, self.values, self.problem_type)?;
        if self.values == PROBABILITIES {
            to_logits(&mut row.logits, self.problem_type).map_err(|what| {
                DataError::value(&row.place, PROBABILITIES, format!("{what} (row id {:?})", row.id))
            })?;
        }
        self.read += 1;
        if Fingerprint::is_ragged(self.problem_type) {
            return self.ragged(row).map(Some);
        }
        let expected = *self.num_labels.get_or_insert(row.logits.len());
        if row.logits.len() != expected || expected == 0 {
            let (found, values) = (row.logits.len(), self.values);
            let what = format!("{found} {values}, rows before it have {expected} (row id {:?})", row.id);
            return Err(DataError::value(&row.place, self.values, what));
        }
        Ok(Some(row))
    }

    /// Checks a row with several positions; where the table does not say which, there is one for each word.
    fn ragged(&mut self, mut row: TableRow) -> Result<TableRow, DataError> {
        let given = row.positions.take();
        let error = |column: &'static str, what: String| {
            Err(DataError::value(&row.place, column, format!("{what} (row id {:?})", row.id)))
        };
        let positions = match (given, &row.tokens) {
            (Some(positions), _) => positions,
            (None, Some(words)) => (0..words.len() as i32).collect(),
            (None, None) => return error(COLUMNS[POSITIONS], "missing, as are the words".to_owned()),
        };
        let (count, logits) = (positions.len(), row.logits.len());
        let outputs = logits.checked_div(count).filter(|outputs| outputs * count == logits);
        match (count, outputs) {
            (0, _) if logits == 0 => {}
            (_, Some(outputs)) if outputs > 0 => {
                let expected = *self.num_labels.get_or_insert(outputs);
                if expected != outputs {
                    let what = format!("{outputs} {} a position, rows before it have {expected}", self.values);
                    return error(self.values, what);
                }
            }
            _ => return error(self.values, format!("{logits} {} for {count} positions", self.values)),
        }
        row.positions = Some(positions);
        Ok(row)
    }

    fn end(&self) -> Result<Option<TableRow>, DataError> {
        match self.read {
            0 => Err(DataError::NoRows { file: self.path.to_path_buf() }),
            _ => Ok(None),
        }
    }
}

fn json_fields(line: &str, task: TaskId) -> Result<(Fields, &'static str), String> {
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
fn parquet_fields(
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

fn interpret(
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
            parquet_rows::label_of(value, ask).and_then(|label| as_it_is(label, num_labels))
        }
        Some(Cell::List(list)) => {
            let found = list.map_or(Ok(None), |list| parquet_rows::list_label(list, ask));
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

fn row_of(cell: Cell) -> Result<i64, String> {
    let row = match cell {
        Cell::Json(Json::Number(number)) => number.as_i64(),
        Cell::Json(_) => None,
        Cell::Parquet(Some(Value::Integer(row))) => Some(row),
        Cell::Parquet(_) | Cell::List(_) | Cell::Label(_) => None,
    };
    row.filter(|row| *row >= 0).ok_or_else(|| "not a row number".to_owned())
}

fn id_of(cell: Cell) -> Result<String, String> {
    match cell {
        Cell::Json(value) => json_rows::id_of(&value),
        Cell::Parquet(value) => parquet_rows::id_of(value),
        Cell::List(_) | Cell::Label(_) => Err("a list is not an id".to_owned()),
    }
}

fn text_of(cell: Cell) -> Result<Option<String>, String> {
    match cell {
        Cell::Json(value) => json_rows::text_of(value),
        Cell::Parquet(value) => parquet_rows::text_of(value),
        Cell::List(_) | Cell::Label(_) => Err("not a string".to_owned()),
    }
}

/// The words of a row, or none for null.
fn words_of(cell: Cell) -> Result<Option<Vec<String>>, String> {
    match cell {
        Cell::Json(Json::Null) | Cell::List(None) | Cell::Parquet(None) => Ok(None),
        Cell::Json(words) => json_rows::words_of(words).map(Some),
        Cell::List(words) => parquet_rows::words_of(words).map(Some),
        Cell::Parquet(_) | Cell::Label(_) => Err("not a list of words".to_owned()),
    }
}

/// Numbers of positions, or none for null.
fn positions_of(cell: Cell, task: TaskId) -> Result<Option<Vec<i32>>, String> {
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
fn hash_of(cell: Cell) -> Result<Option<[u8; TEXT_HASH_LEN]>, String> {
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
