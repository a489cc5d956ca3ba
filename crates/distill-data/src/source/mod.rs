//! Rows of text or of words from Parquet, JSONL, CSV, TSV, CoNLL columns or CoNLL-U, streamed.
//!
//! Read in this order: `files` (which files a path stands for), [`columns`] (which column is what), [`row`], [`rows`] (the stream), then a
//! reader a format (`parquet_rows` with `parquet_values`, `json_rows` with `json_value`, `csv_rows`; `word_columns` and `conllu`, which gather a
//! `sentence`; `squad`, with `answers`), `suggest` (the task that columns speak of), [`watch`] (what is read is what was
//! hashed), [`summary`] (one pass that checks all rows and counts labels) with `ids` and `tally`, `decide` and `tags` (which reading
//! of the labels fits a label map), `reading` (that reading, row by row) and [`labels`] (from raw labels to ids).
//! [`plain_text`] reads texts without labels, [`texts`] those of any source, [`documents`] the same as documents.

mod answers;
pub mod columns;
mod conllu;
mod csv_rows;
mod decide;
pub mod documents;
mod files;
pub(crate) mod found;
mod ids;
pub(crate) mod json_rows;
pub(crate) mod json_value;
mod label_names;
pub mod labels;
pub(crate) mod lines;
mod list_cell;
mod note;
mod parquet_rows;
pub(crate) mod parquet_values;
pub mod plain_text;
mod reading;
pub mod row;
pub mod rows;
mod sentence;
mod squad;
mod suggest;
pub mod summary;
mod tags;
mod tally;
pub mod texts;
pub mod watch;
mod word_columns;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::StopSignal;
use distill_core::hash::file_hash_until;
use distill_task::TaskId;

use crate::error::DataError;
use found::Ask;

pub use columns::{Columns, RowKind};
pub use decide::Fitted;
pub use distill_task::Label;
pub use documents::{Document, DocumentSource, DocumentsSummary};
pub use found::LabelType;
pub use label_names::LabelNames;
pub use labels::{RawLabel, resolve, resolve_label};
pub use note::Note;
pub use reading::Reading;
pub use row::{Row, hash_of};
pub use rows::Rows;
pub use summary::Summary;
pub use texts::Texts;
pub use watch::Seen;

/// The formats that rows are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    Json,
    /// Separated values with their separator.
    Separated(u8),
    /// A word a line, its tags in columns.
    Words {
        /// Whether the name's ending says so; `.txt` may be anything.
        certain: bool,
    },
    /// CoNLL-U.
    Conllu,
    /// Questions in SQuAD's form.
    Squad,
}

/// A file, or a directory of Parquet shards, that rows are read from as often as needed.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    files: Vec<Arc<Path>>,
    format: Format,
    columns: Columns,
    ask: Ask,
    delimiter: Option<u8>,
    label_names: Option<LabelNames>,
    reading: Reading,
    stop: StopSignal,
    /// What its hash must be when it is read.
    expected: Option<Arc<str>>,
}

impl Source {
    /// Chooses the reader by the name's ending: `.parquet`, `.jsonl` or `.ndjson`, `.csv`, `.tsv`; for rows of words
    /// `.conll`, `.bio`, `.iob` or `.txt` (columns), `.conllu` or `.conllup`; for questions `.json` (SQuAD's form); a
    /// directory is read as Parquet shards, all `*.parquet` in the order of their names; `DIR/train*.parquet`
    /// as those of them whose names are so.
    ///
    /// # Errors
    /// [`DataError::File`] where nothing is there, [`DataError::Format`] for another ending, a
    /// directory without shards, or one with several splits. The content is looked at by [`Source::rows`].
    pub fn open(path: &Path, columns: &Columns) -> Result<Self, DataError> {
        let (files, format) = files::find(path)?;
        let stop = StopSignal::default();
        Ok(Source {
            path: path.to_owned(),
            files,
            format,
            columns: columns.clone(),
            ask: Ask::default(),
            delimiter: None,
            label_names: None,
            reading: Reading::default(),
            stop,
            expected: None,
        })
    }

    /// The same source, of which reading and hashing end with [`DataError::Stopped`] once a stop is asked for.
    pub fn stopped_by(self, stop: &StopSignal) -> Self {
        Source { stop: stop.clone(), ..self }
    }

    /// The same source, whose labels are read as a model of this type needs them: one class a row by default.
    pub fn labelled(self, problem_type: TaskId) -> Self {
        let columns = self.columns.for_task(problem_type);
        Source { ask: Ask { problem_type, ..self.ask }, columns, ..self }
    }

    /// The task that the files' format or columns speak of, where it is not one class a row: rows of words are for
    /// token classification.
    ///
    /// # Errors
    /// Those of reading a Parquet file's footer, or the first line of JSON.
    pub fn suggested_task(&self) -> Result<Option<TaskId>, DataError> {
        suggest::task(self)
    }

    /// The same source, of whose labels this is known: whether they are names or ids, and what the ids are called.
    pub fn with_labels(self, label_type: Option<LabelType>, label_names: Option<LabelNames>) -> Self {
        Source { ask: Ask { label_type, ..self.ask }, label_names, ..self }
    }

    /// The same source, in which this byte separates the fields of CSV and TSV, whatever the name's ending says.
    pub fn delimited_by(self, delimiter: Option<u8>) -> Self {
        Source { delimiter, ..self }
    }

    /// The same source, whose labels are read so.
    pub fn read_by(self, reading: Reading) -> Self {
        Source { reading, ..self }
    }

    /// The same rows, each with the text of one of its columns as the name of its class: text as it is, numbers,
    /// truth values, dates and the like in their usual form.
    pub fn with_column(&self, name: &str) -> Self {
        let ask = Ask { problem_type: TaskId::default(), label_type: Some(LabelType::Name) };
        let columns = Columns { label: Some(name.to_owned()), ..self.columns.clone() };
        Source { columns, ask, label_names: None, reading: Reading::default(), ..self.clone() }
    }

    /// The same rows without their labels.
    pub fn without_labels(self) -> Self {
        Source { columns: Columns { label: Some(columns::NONE.to_owned()), ..self.columns }, ..self }
    }

    /// The same source, whose rows end with [`DataError::Changed`] unless what was read has this [`Source::hash`].
    pub fn holding(self, hash: &str) -> Self {
        Source { expected: Some(Arc::from(hash)), ..self }
    }

    /// What a row's label is.
    pub fn problem_type(&self) -> TaskId {
        self.ask.problem_type
    }

    /// What was asked for of its labels.
    pub fn label_type(&self) -> Option<LabelType> {
        self.ask.label_type
    }

    /// What its labels mean, where a file says it.
    pub fn label_names(&self) -> Option<&LabelNames> {
        self.label_names.as_ref()
    }

    /// How its labels are read.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    pub(crate) fn ask(&self) -> Ask {
        self.ask
    }

    /// The byte that separates fields, where it was given.
    pub fn delimiter(&self) -> Option<u8> {
        self.delimiter
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The column names that rows are read by.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// A stream over all rows. Memory does not grow with their number.
    ///
    /// # Errors
    /// Those of opening the first file: [`DataError::File`], [`DataError::MissingColumn`],
    /// [`DataError::ColumnType`], [`DataError::Damaged`]. All others come out of the stream.
    pub fn rows(&self) -> Result<Rows, DataError> {
        Rows::open(self)
    }

    /// blake3 of the file, as 64 hexadecimal digits; of a directory, one hash over the names and hashes
    /// of its shards.
    ///
    /// # Errors
    /// [`DataError::File`]; [`DataError::Stopped`].
    pub fn hash(&self) -> Result<String, DataError> {
        let mut parts = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            parts.push((name, file_hash_until(file, &self.stop)?));
        }
        Ok(watch::combined(self.is_one_file(), &parts))
    }

    fn is_one_file(&self) -> bool {
        self.files.len() == 1 && *self.files[0] == *self.path
    }

    pub(crate) fn expected(&self) -> Option<&Arc<str>> {
        self.expected.as_ref()
    }

    /// Label names in the order of their ids, where Parquet files carry them as a `ClassLabel` in the
    /// metadata that `datasets` writes.
    ///
    /// # Errors
    /// Those of opening the Parquet files; [`DataError::Label`] where two of them carry different names.
    pub fn class_names(&self) -> Result<Option<Vec<String>>, DataError> {
        if self.format != Format::Parquet || self.columns.label_is_off() {
            return Ok(None);
        }
        let mut first: Option<Option<Vec<String>>> = None;
        for file in &self.files {
            let names = parquet_rows::class_names(file, &self.columns)?;
            match &first {
                Some(first) if *first != names => {
                    let what = format!("its label names differ from those of {}", self.files[0].display());
                    return Err(DataError::Label { file: file.to_path_buf(), what });
                }
                _ => first = Some(names),
            }
        }
        Ok(first.flatten())
    }

    pub(crate) fn files(&self) -> &[Arc<Path>] {
        &self.files
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    pub(crate) fn stop(&self) -> &StopSignal {
        &self.stop
    }
}

#[cfg(test)]
mod label_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod word_tests;
