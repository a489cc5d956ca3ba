//! Several columns read in step, one batch of rows at a time.

use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Repetition};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::schema::types::Type;

use super::file::ParquetFile;
use super::guard::{Drawn, GuardedPages, MAX_BATCH_BYTES, too_much_text};
use super::guarded;
use super::list::{self, ListLevels};
use super::meaning::Meaning;
use super::value::Value;
use crate::error::DataError;

/// Rows of one batch: enough to be fast, few enough that long texts, or logits of many labels, stay affordable.
const BATCH_ROWS: usize = 1024;
const BATCH_LISTS: usize = 256;

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

    /// Bytes of all values that are bytes, each counted as often as it occurs.
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

/// A column that is read: which leaf it is, of which form, and what its values mean.
#[derive(Clone, Copy)]
struct Wanted {
    leaf: usize,
    list: Option<ListLevels>,
    meaning: Meaning,
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
    /// type that has a [`Meaning`], or lists of these; or lists inside groups, such as `answers.text`.
    ///
    /// # Errors
    /// [`DataError::ColumnType`] for a column of another form; [`DataError::Unsupported`] for one in a
    /// compression that is not built; [`DataError::Damaged`] for a name that is not there (ask
    /// [`ParquetFile::column_names`] first).
    pub fn new(file: &ParquetFile, columns: &[&str]) -> Result<Self, DataError> {
        let wanted: Vec<Wanted> = columns.iter().map(|name| find(file, name)).collect::<Result<_, _>>()?;
        for (wanted, name) in wanted.iter().zip(columns) {
            check_compression(file, wanted.leaf, name)?;
        }
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
                Some(levels) => Column::Values(list::read_values(reader, levels, wanted.meaning, rows)?),
                None => Column::Flat(read_flat(reader, wanted.meaning, rows)?),
            };
            if column.len() != rows {
                return Err(ParquetError::General(format!(
                    "row group {} has fewer values than rows",
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

/// What a column of a file holds, before any of it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One value a row.
    Flat(Meaning),
    /// A list of values a row.
    List(Meaning),
    /// Something that is not read, by its name.
    Other(String),
}

impl ParquetFile {
    /// What a top-level column holds, or a list inside groups, whose names are put in front with dots; none where it is
    /// missing.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        node(self, name).map(|node| node.kind())
    }

    /// The name of the struct that a column has, or of the one that is in each element of its lists, as
    /// [`ParquetFile::kind`] takes it: `answers`, or `answers.list.element`.
    pub(crate) fn struct_in(&self, column: &str) -> String {
        let mut path = column.to_owned();
        let mut field = self.fields().iter().find(|field| field.name() == column);
        while let Some(Type::GroupType { fields, .. }) = field.map(AsRef::as_ref)
            && let [only] = fields.as_slice()
        {
            path = format!("{path}.{}", only.name());
            field = Some(only);
        }
        path
    }
}

/// A column: a field of the schema.
struct Node<'a> {
    /// The groups around it, the outermost first, and the field itself.
    fields: Vec<&'a Type>,
    /// Its path in the schema.
    path: Vec<String>,
}

impl Node<'_> {
    fn kind(&self) -> Kind {
        match (kind_of(&self.fields), self.path.len()) {
            (kind, 1) => kind,
            (Kind::List(meaning), _) => Kind::List(meaning),
            _ => Kind::Other("nested values".to_owned()),
        }
    }
}

/// The field of a name: one at the top level, else one inside groups by its path with dots.
fn node<'a>(file: &'a ParquetFile, name: &str) -> Option<Node<'a>> {
    if let Some(field) = file.fields().iter().find(|field| field.name() == name) {
        return Some(Node { fields: vec![field], path: vec![name.to_owned()] });
    }
    let mut inner = file.fields();
    let mut fields = Vec::new();
    for part in name.split('.') {
        let field = inner.iter().find(|field| field.name() == part)?;
        fields.push(field.as_ref());
        inner = match field.as_ref() {
            Type::GroupType { fields, .. } => fields,
            Type::PrimitiveType { .. } => &[],
        };
    }
    Some(Node { fields, path: name.split('.').map(str::to_owned).collect() })
}

fn kind_of(fields: &[&Type]) -> Kind {
    let list = list::list_leaf(fields);
    let leaf = match (list, fields.last()) {
        (Some(leaf), _) => leaf,
        (None, Some(field)) if is_flat(field) => field,
        (None, _) => return Kind::Other("nested values".to_owned()),
    };
    match Meaning::of(leaf) {
        Ok(meaning) if list.is_some() => Kind::List(meaning),
        Ok(meaning) => Kind::Flat(meaning),
        Err(name) => Kind::Other(format!("{name} values")),
    }
}

/// Finds a top-level column and its only leaf.
fn find(file: &ParquetFile, name: &str) -> Result<Wanted, DataError> {
    let Some(node) = node(file, name) else {
        return Err(DataError::damaged(file.path(), format!("its column {name:?} is missing")));
    };
    let schema = file.metadata.file_metadata().schema_descr();
    let leaf =
        (0..schema.num_columns()).find(|leaf| schema.column(*leaf).path().parts().starts_with(&node.path));
    match (leaf, node.kind()) {
        (Some(leaf), Kind::Flat(meaning)) => Ok(Wanted { leaf, list: None, meaning }),
        (Some(leaf), Kind::List(meaning)) => {
            Ok(Wanted { leaf, list: list::list_levels(&node.fields, meaning), meaning })
        }
        (_, kind) => Err(unusable(file.path(), name, kind)),
    }
}

fn is_flat(field: &Type) -> bool {
    let info = field.get_basic_info();
    field.is_primitive() && info.has_repetition() && info.repetition() != Repetition::REPEATED
}

fn unusable(file: &Path, column: &str, kind: Kind) -> DataError {
    let found = if let Kind::Other(found) = kind { found } else { "values that cannot be found".to_owned() };
    DataError::ColumnType {
        file: file.to_owned(),
        column: column.to_owned(),
        expected: "plain values or lists of them",
        found,
    }
}

/// Compressions that are not built are no damage.
fn check_compression(file: &ParquetFile, leaf: usize, name: &str) -> Result<(), DataError> {
    for group in file.metadata.row_groups() {
        let compression = group.column(leaf).compression();
        if let Compression::BROTLI(_) | Compression::LZO = compression {
            let codec = if compression == Compression::LZO { "LZO" } else { "Brotli" };
            return Err(DataError::Unsupported {
                file: file.path().to_path_buf(),
                what: format!(
                    "its column {name:?} is compressed with {codec}, which is not supported; write it with zstd, \
                     snappy, gzip or lz4"
                ),
            });
        }
    }
    Ok(())
}

fn read_flat(reader: &mut ColumnReader, meaning: Meaning, rows: usize) -> ParquetResult<Vec<Option<Value>>> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => read_as(reader, rows, |v| Ok(Value::Bool(v))),
        ColumnReader::Int32ColumnReader(reader) => {
            read_as(reader, rows, |v| Ok(meaning.of_integer(v.into(), 32)))
        }
        ColumnReader::Int64ColumnReader(reader) => read_as(reader, rows, |v| Ok(meaning.of_integer(v, 64))),
        ColumnReader::Int96ColumnReader(reader) => read_as(reader, rows, |v| Ok(Meaning::of_int96(&v))),
        ColumnReader::FloatColumnReader(reader) => read_as(reader, rows, |v| Ok(Value::Float(v.into()))),
        ColumnReader::DoubleColumnReader(reader) => read_as(reader, rows, |v| Ok(Value::Float(v))),
        ColumnReader::ByteArrayColumnReader(reader) => read_as(reader, rows, |v| meaning.of_bytes(v)),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            read_as(reader, rows, |v| meaning.of_bytes(v.into()))
        }
    }
}

fn read_as<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    value: impl Fn(T::T) -> ParquetResult<Value>,
) -> ParquetResult<Vec<Option<Value>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let (records, read, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(value);
    if levels.is_empty() && read == records {
        return values.map(|value| value.map(Some)).collect();
    }
    // The only optional node is the column itself: level 1 is a value, level 0 is null.
    levels.iter().map(|level| if *level > 0 { values.next().transpose() } else { Ok(None) }).collect()
}
