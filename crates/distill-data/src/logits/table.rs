//! Reading a table of logits, as distill or any other program wrote it.

use std::path::Path;
use std::sync::Arc;

use distill_task::TaskId;

use super::fingerprint::{FINGERPRINT_KEY, Fingerprint};
use super::foreign::{LOGITS, PROBABILITIES, Record, separated, to_logits};
use super::row::TableRow;
use super::schema::COLUMNS;
use super::table_fields::{Cell, Fields, POSITIONS, RAGGED, interpret, json_fields, parquet_fields};
use crate::error::{At, DataError, Place};
use crate::parquet::{ColumnBatches, ParquetFile};
use crate::source::lines::Lines;
use crate::source::{Rows, Source};

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
