//! Several columns read in step, one batch of rows at a time.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::schema::types::Type;

use super::file::ParquetFile;
use super::guard::{Drawn, GuardedPages, MAX_BATCH_BYTES, too_much_text};
use super::guarded;
use super::list::{self, ListLevels};
use crate::error::DataError;

/// Rows of one batch: enough to be fast, few enough that long texts, or logits of many labels, stay affordable.
const BATCH_ROWS: usize = 1024;
const BATCH_LISTS: usize = 256;

/// One value of a flat column.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// BYTE_ARRAY or FIXED_LEN_BYTE_ARRAY, not yet checked to be UTF-8.
    Bytes(ByteArray),
    /// INT32 or INT64.
    Integer(i64),
    /// FLOAT or DOUBLE.
    Float(f64),
    /// BOOLEAN.
    Bool(bool),
}

/// One batch of one column; `None` is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// One value a row.
    Flat(Vec<Option<Value>>),
    /// A list of numbers a row.
    List(Vec<Option<Vec<f32>>>),
    /// A list of values of another kind a row.
    Values(Vec<Option<Vec<Option<Value>>>>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Column::Flat(values) => values.len(),
            Column::List(lists) => lists.len(),
            Column::Values(lists) => lists.len(),
        }
    }

    /// Bytes of all values that are bytes, each counted as often as it stands there.
    fn bytes(&self) -> u64 {
        let length = |value: &Value| if let Value::Bytes(bytes) = value { bytes.len() as u64 } else { 0 };
        match self {
            Column::Flat(values) => values.iter().flatten().map(length).sum(),
            Column::List(_) => 0,
            Column::Values(lists) => lists.iter().flatten().flatten().flatten().map(length).sum(),
        }
    }

    /// The lists as values, of numbers too; none where there is one value a row.
    pub(crate) fn lists(&mut self) -> Option<Vec<Option<Vec<Option<Value>>>>> {
        let numbers = |list: Vec<f32>| list.into_iter().map(|value| Some(Value::Float(value.into()))).collect();
        match self {
            Column::Flat(_) => None,
            Column::List(lists) => {
                Some(std::mem::take(lists).into_iter().map(|list| list.map(numbers)).collect())
            }
            Column::Values(lists) => Some(std::mem::take(lists)),
        }
    }
}

/// A column that is read: which leaf it is and of which form.
#[derive(Clone, Copy)]
struct Wanted {
    leaf: usize,
    list: Option<ListLevels>,
}

/// Reads the chosen columns of a file in step, row group by row group.
pub struct ColumnBatches {
    file: ParquetFile,
    wanted: Vec<Wanted>,
    readers: Vec<ColumnReader>,
    next_group: usize,
    left_in_group: usize,
    drawn: Arc<Drawn>,
    failed: bool,
}

impl ColumnBatches {
    /// Prepares to read `columns`, which must be top-level names of the file: flat columns of any
    /// physical type but INT96, or lists of these.
    ///
    /// # Errors
    /// [`DataError::ColumnType`] for a column of another form; [`DataError::Damaged`] for a name that
    /// is not there (ask [`ParquetFile::column_names`] first).
    pub fn new(file: &ParquetFile, columns: &[&str]) -> Result<Self, DataError> {
        let wanted = columns.iter().map(|name| find(file, name)).collect::<Result<_, _>>()?;
        Ok(ColumnBatches {
            file: file.clone(),
            wanted,
            readers: Vec::new(),
            next_group: 0,
            left_in_group: 0,
            drawn: Arc::default(),
            failed: false,
        })
    }

    /// The next rows, at most some thousand: one [`Column`] for each chosen one, all of one length.
    /// `None` at the end, and after an error.
    ///
    /// # Errors
    /// [`DataError::Damaged`].
    pub fn next_batch(&mut self) -> Result<Option<Vec<Column>>, DataError> {
        if self.failed {
            return Ok(None);
        }
        let path = Arc::clone(&self.file.path);
        let batch = guarded(&path, || self.read());
        self.failed = batch.is_err();
        batch
    }

    fn read(&mut self) -> ParquetResult<Option<Vec<Column>>> {
        while self.left_in_group == 0 {
            if self.next_group == self.file.metadata.num_row_groups() {
                return Ok(None);
            }
            self.open_group()?;
        }
        let has_lists = self.wanted.iter().any(|wanted| wanted.list.is_some());
        let rows = self.left_in_group.min(if has_lists { BATCH_LISTS } else { BATCH_ROWS });
        self.drawn.next_batch();
        let mut batch = Vec::with_capacity(self.readers.len());
        for (reader, wanted) in self.readers.iter_mut().zip(&self.wanted) {
            self.drawn.next_column();
            let column = match wanted.list {
                Some(levels) if levels.numbers => Column::List(list::read(reader, levels, rows)?),
                Some(levels) => Column::Values(list::read_values(reader, levels, rows)?),
                None => Column::Flat(read_flat(reader, rows)?),
            };
            if column.len() != rows {
                return Err(ParquetError::General(format!(
                    "row group {} holds fewer values than rows",
                    self.next_group - 1
                )));
            }
            batch.push(column);
        }
        // A dictionary can put one long text into every row.
        if batch.iter().map(Column::bytes).sum::<u64>() > MAX_BATCH_BYTES {
            return Err(too_much_text());
        }
        self.left_in_group -= rows;
        Ok(Some(batch))
    }

    fn open_group(&mut self) -> ParquetResult<()> {
        let metadata = Arc::clone(&self.file.metadata);
        let group = metadata.row_group(self.next_group);
        let rows = usize::try_from(group.num_rows())?;
        self.readers.clear();
        for wanted in &self.wanted {
            let file = Arc::clone(&self.file.file);
            let chunk = group.column(wanted.leaf);
            let pages = GuardedPages::new(file, chunk, rows, Arc::clone(&self.drawn))?;
            self.readers.push(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)));
        }
        self.next_group += 1;
        self.left_in_group = rows;
        Ok(())
    }
}

/// Finds a top-level column and its only leaf.
fn find(file: &ParquetFile, name: &str) -> Result<Wanted, DataError> {
    let fields = file.fields();
    let Some(position) = fields.iter().position(|field| field.name() == name) else {
        return Err(DataError::damaged(file.path(), format!("its column {name:?} has gone")));
    };
    let schema = file.metadata.file_metadata().schema_descr();
    let field = &fields[position];
    let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == position);
    match (leaf, list::list_levels(field)) {
        (Some(leaf), list) if list.is_some() || is_flat(field) => Ok(Wanted { leaf, list }),
        _ => Err(unusable(file.path(), field)),
    }
}

fn is_flat(field: &Type) -> bool {
    let info = field.get_basic_info();
    field.is_primitive()
        && field.get_physical_type() != Physical::INT96
        && info.has_repetition()
        && info.repetition() != Repetition::REPEATED
}

fn unusable(file: &Path, field: &Type) -> DataError {
    DataError::ColumnType {
        file: file.to_owned(),
        column: field.name().to_owned(),
        expected: "plain values or lists of them",
        found: if field.is_group() { "nested values".to_owned() } else { kind_of(field) },
    }
}

fn kind_of(field: &Type) -> String {
    format!("{} values", field.get_physical_type())
}

fn read_flat(reader: &mut ColumnReader, rows: usize) -> ParquetResult<Vec<Option<Value>>> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => read_as(reader, rows, Value::Bool),
        ColumnReader::Int32ColumnReader(reader) => read_as(reader, rows, |v| Value::Integer(v.into())),
        ColumnReader::Int64ColumnReader(reader) => read_as(reader, rows, Value::Integer),
        ColumnReader::FloatColumnReader(reader) => read_as(reader, rows, |v| Value::Float(v.into())),
        ColumnReader::DoubleColumnReader(reader) => read_as(reader, rows, Value::Float),
        ColumnReader::ByteArrayColumnReader(reader) => read_as(reader, rows, Value::Bytes),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            read_as(reader, rows, |v| Value::Bytes(v.into()))
        }
        ColumnReader::Int96ColumnReader(_) => Err(ParquetError::General("INT96 is no value here".to_owned())),
    }
}

fn read_as<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    value: impl Fn(T::T) -> Value,
) -> ParquetResult<Vec<Option<Value>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (records, read, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(value);
    if levels.is_empty() && read == records {
        return Ok(values.map(Some).collect());
    }
    // The only optional node is the column itself: level 1 is a value, level 0 is null.
    Ok(levels.iter().map(|level| if *level > 0 { values.next() } else { None }).collect())
}
