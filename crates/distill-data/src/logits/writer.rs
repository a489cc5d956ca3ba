//! Writing one Parquet file of logits, whole or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::atomic::{FileError, HashedFile, Written};
use distill_core::text::counted;
use distill_task::{LabelColumn, Positions, TaskId};
use half::f16;
use parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType,
    Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use tracing::trace_span;

use super::fingerprint::Fingerprint;
use super::manifest::FileEntry;
use super::row::{LogitsRow, check_positions};
use super::schema;
use crate::error::DataError;
use crate::source::Label;

/// How a file of logits is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// Keep the texts, not only their hashes.
    pub with_text: bool,
    /// Halve the logits' size, at three digits of precision.
    pub float16: bool,
    /// Rows of one row group; this many rows are held in memory.
    pub row_group_rows: usize,
}

impl Default for WriterOptions {
    fn default() -> Self {
        WriterOptions { with_text: true, float16: false, row_group_rows: 8192 }
    }
}

/// Writes rows of logits; the file appears at [`LogitsWriter::finish`]. Same rows, same bytes, however
/// they were handed over.
pub struct LogitsWriter {
    path: PathBuf,
    options: WriterOptions,
    num_labels: usize,
    outputs: usize,
    problem_type: TaskId,
    pending: Vec<LogitsRow>,
    rows: u64,
    file: SerializedFileWriter<HashedFile>,
}

impl LogitsWriter {
    /// Starts a file at `path`, whose directory must exist.
    ///
    /// # Errors
    /// [`DataError::File`].
    pub fn create(path: &Path, fingerprint: &Fingerprint, options: WriterOptions) -> Result<Self, DataError> {
        let sink = HashedFile::create(path)?;
        let json = fingerprint.to_json().map_err(|error| io_error(path, io::Error::other(error)))?;
        let problem_type = fingerprint.problem_type;
        let file = schema::schema(options.with_text, options.float16, problem_type)
            .and_then(|schema| Ok((schema, schema::properties(json, options.float16, problem_type)?)))
            .and_then(|(schema, properties)| SerializedFileWriter::new(sink, schema, Arc::new(properties)))
            .map_err(|error| parquet_error(path, error))?;
        Ok(LogitsWriter {
            path: path.to_owned(),
            options,
            num_labels: fingerprint.label_map.num_labels(),
            outputs: fingerprint.outputs(),
            problem_type,
            pending: Vec::new(),
            rows: 0,
            file,
        })
    }

    /// Adds rows. Texts are dropped where the options say so.
    ///
    /// # Errors
    /// [`DataError::Logits`] with the row's id for logits that are not finite, or of another number than
    /// there are labels, or for a label outside the map; [`DataError::File`].
    pub fn write(&mut self, rows: &[LogitsRow]) -> Result<(), DataError> {
        for row in rows {
            self.check(row)?;
            let mut row = row.clone();
            if !self.options.with_text {
                (row.text, row.text_pair, row.tokens) = (None, None, None);
            }
            self.pending.push(row);
            if self.pending.len() >= self.options.row_group_rows.max(1) {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Adds a row as no version of this program wrote it, for readers to refuse.
    #[cfg(test)]
    pub(super) fn write_unchecked(&mut self, row: LogitsRow) {
        self.pending.push(row);
    }

    /// Completes the file under its own name.
    ///
    /// # Errors
    /// [`DataError::File`]; nothing is visible then.
    pub fn finish(mut self) -> Result<FileEntry, DataError> {
        let _span = trace_span!(target: "timeline", "save").entered();
        if !self.pending.is_empty() {
            self.flush()?;
        }
        let sink = self.file.into_inner().map_err(|error| parquet_error(&self.path, error))?;
        let Written { bytes, blake3 } = sink.commit()?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(FileEntry { name, rows: self.rows, bytes, blake3 })
    }

    fn check(&self, row: &LogitsRow) -> Result<(), DataError> {
        let refuse =
            |what: String| Err(DataError::Logits { file: self.path.clone(), id: row.id.clone(), what });
        check_shape(row, self.problem_type, self.outputs).or_else(refuse)?;
        if let Some((class, value)) = row.logits.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return refuse(format!("logit {class} is {value}"));
        }
        let overflow = |value: &&f32| self.options.float16 && !f16::from_f32(**value).is_finite();
        if let Some(value) = row.logits.iter().find(overflow) {
            return refuse(format!("logit {value} does not fit float16"));
        }
        let Some(label) = &row.label else { return Ok(()) };
        let known = |id: &&i32| usize::try_from(**id).is_ok_and(|id| id < self.num_labels);
        if let Some(id) = label.classes().find(|id| !known(id)) {
            return refuse(format!("label {id} is outside 0..{}", self.num_labels));
        }
        let is_nan = matches!(label, Label::Value(value) if !value.is_finite());
        if label.shape() != self.problem_type.label_shape() || is_nan {
            return refuse(format!("label {label:?} is not one of {}", self.problem_type));
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DataError> {
        let rows = std::mem::take(&mut self.pending);
        self.rows += rows.len() as u64;
        let written = write_group(&mut self.file, &rows, self.options, self.problem_type);
        written.map_err(|error| parquet_error(&self.path, error))
    }
}

/// Writes one row group, column by column in the order of the schema.
fn write_group(
    file: &mut SerializedFileWriter<HashedFile>,
    rows: &[LogitsRow],
    options: WriterOptions,
    problem_type: TaskId,
) -> ParquetResult<()> {
    let mut group = file.next_row_group()?;
    column::<Int64Type>(&mut group, &rows.iter().map(|row| row.row).collect::<Vec<_>>(), None, None)?;
    column::<ByteArrayType>(
        &mut group,
        &rows.iter().map(|row| bytes(&row.id)).collect::<Vec<_>>(),
        None,
        None,
    )?;
    let hashes: Vec<FixedLenByteArray> =
        rows.iter().map(|row| ByteArray::from(row.text_hash.to_vec()).into()).collect();
    column::<FixedLenByteArrayType>(&mut group, &hashes, None, None)?;
    if options.with_text {
        optional::<ByteArrayType>(&mut group, rows.iter().map(|row| row.text.as_deref().map(bytes)))?;
        optional::<ByteArrayType>(&mut group, rows.iter().map(|row| row.text_pair.as_deref().map(bytes)))?;
    }
    let is_ragged = Fingerprint::is_ragged(problem_type);
    if options.with_text && is_ragged {
        write_tokens(&mut group, rows)?;
    }
    write_labels(&mut group, rows, problem_type)?;
    if is_ragged {
        let positions: Vec<i32> = rows.iter().flat_map(|row| row.positions.iter().copied()).collect();
        let (definition, repetition) = levels(rows.iter().map(|row| row.positions.len()));
        column::<Int32Type>(&mut group, &positions, Some(&definition), Some(&repetition))?;
    }
    write_logits(&mut group, rows, options.float16)?;
    group.close().map(drop)
}

fn bytes(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn optional<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, HashedFile>,
    values: impl Iterator<Item = Option<T::T>>,
) -> ParquetResult<()> {
    let values: Vec<Option<T::T>> = values.collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<T::T> = values.into_iter().flatten().collect();
    column::<T>(group, &present, Some(&levels), None)
}

fn write_labels(
    group: &mut SerializedRowGroupWriter<'_, HashedFile>,
    rows: &[LogitsRow],
    problem_type: TaskId,
) -> ParquetResult<()> {
    let labels = || rows.iter().map(|row| row.label.as_ref());
    let nullable = problem_type.label_shape().column() == LabelColumn::NullableIntegers;
    match problem_type.label_shape().column() {
        LabelColumn::Integer => {
            optional::<Int32Type>(group, labels().map(|label| label?.classes().next().copied()))
        }
        LabelColumn::Number => {
            let value = |label: &Label<i32>| if let Label::Value(value) = label { Some(*value) } else { None };
            optional::<DoubleType>(group, labels().map(|label| value(label?)))
        }
        LabelColumn::Integers | LabelColumn::NullableIntegers => {
            let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
            for label in labels() {
                let elements = label.map(Label::integers);
                // 0: no list, 1: an empty one, 2: an element; where elements may be null, 2 is such a one and 3 a number.
                let nothing = elements.as_ref().is_none_or(Vec::is_empty);
                definition.extend(nothing.then_some(i16::from(elements.is_some())));
                repetition.extend(nothing.then_some(0));
                for (place, element) in elements.into_iter().flatten().enumerate() {
                    definition.push(if nullable { 2 + i16::from(element.is_some()) } else { 2 });
                    repetition.push(i16::from(place > 0));
                    values.extend(element);
                }
            }
            column::<Int32Type>(group, &values, Some(&definition), Some(&repetition))
        }
    }
}

/// Words: a list that is null where a row has none.
fn write_tokens(group: &mut SerializedRowGroupWriter<'_, HashedFile>, rows: &[LogitsRow]) -> ParquetResult<()> {
    let (mut definition, mut repetition, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for tokens in rows.iter().map(|row| row.tokens.as_deref()) {
        // 0: no list, 1: an empty one, 2: a word.
        let nothing = tokens.is_none_or(<[String]>::is_empty);
        definition.extend(nothing.then_some(i16::from(tokens.is_some())));
        repetition.extend(nothing.then_some(0));
        for (place, word) in tokens.into_iter().flatten().enumerate() {
            definition.push(2);
            repetition.push(i16::from(place > 0));
            words.push(bytes(word));
        }
    }
    column::<ByteArrayType>(group, &words, Some(&definition), Some(&repetition))
}

/// Definition and repetition levels of lists of these lengths, of which neither lists nor elements are null.
fn levels(lengths: impl Iterator<Item = usize>) -> (Vec<i16>, Vec<i16>) {
    let (mut definition, mut repetition) = (Vec::new(), Vec::new());
    for length in lengths {
        definition.extend(std::iter::repeat_n(i16::from(length > 0), length.max(1)));
        repetition.extend((0..length.max(1)).map(|place| i16::from(place > 0)));
    }
    (definition, repetition)
}

/// Whether a row has the positions, words and logits that its task asks for.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn check_shape(row: &LogitsRow, task: TaskId, outputs: usize) -> Result<(), String> {
    let (positions, logits) = (&row.positions, row.logits.len());
    if !Fingerprint::is_ragged(task) {
        return match logits == outputs && positions.is_empty() {
            true => Ok(()),
            false if positions.is_empty() => Err(format!("{logits} logits for {outputs} labels")),
            false => Err(format!("{} positions, but {task} has one prediction a row", positions.len())),
        };
    }
    if logits != positions.len() * outputs {
        return Err(format!("{logits} logits for {} positions of {outputs} each", positions.len()));
    }
    check_positions(positions, task).map_err(|expected| format!("its positions are not {expected}"))?;
    let Some(words) = row.tokens.as_ref().filter(|_| task.positions() == Positions::Word) else {
        return Ok(());
    };
    if let Some(last) = positions.last().filter(|last| **last as usize >= words.len()) {
        return Err(format!("position {last} of {} words", words.len()));
    }
    match &row.label {
        Some(Label::Tags(tags)) if tags.len() != words.len() => {
            Err(format!("{} for {}", counted(tags.len(), "tag"), counted(words.len(), "word")))
        }
        _ => Ok(()),
    }
}

fn write_logits(
    group: &mut SerializedRowGroupWriter<'_, HashedFile>,
    rows: &[LogitsRow],
    float16: bool,
) -> ParquetResult<()> {
    let (definition, repetition) = levels(rows.iter().map(|row| row.logits.len()));
    let values = rows.iter().flat_map(|row| row.logits.iter().copied());
    if float16 {
        let halves = values.map(|value| ByteArray::from(f16::from_f32(value).to_le_bytes().to_vec()).into());
        let halves: Vec<FixedLenByteArray> = halves.collect();
        column::<FixedLenByteArrayType>(group, &halves, Some(&definition), Some(&repetition))
    } else {
        let values: Vec<f32> = values.collect();
        column::<FloatType>(group, &values, Some(&definition), Some(&repetition))
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, HashedFile>,
    values: &[T::T],
    definition: Option<&[i16]>,
    repetition: Option<&[i16]>,
) -> ParquetResult<()> {
    let missing = || ParquetError::General("the schema has fewer columns than are written".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, definition, repetition)?;
    column.close()
}

fn io_error(path: &Path, source: io::Error) -> DataError {
    FileError::new("write", path, source).into()
}

/// What the sink's file system said comes back wrapped; a full disk must still be known as one.
fn parquet_error(path: &Path, error: ParquetError) -> DataError {
    let source = match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    };
    io_error(path, source)
}
