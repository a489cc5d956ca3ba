//! The stream of rows over a source's files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::StopSignal;
use distill_task::LabelShape;

use super::columns::{Columns, RowKind};
use super::conllu::ConlluRows;
use super::csv_rows::CsvRows;
use super::found::{Ask, Found};
use super::json_rows::JsonRows;
use super::note::Note;
use super::parquet_rows::ParquetRows;
use super::reading::Reading;
use super::row::{RawRow, Row};
use super::squad::SquadRows;
use super::watch::{SharedHasher, Watch};
use super::word_columns::WordColumns;
use super::{Format, Source};
use crate::error::DataError;

/// A stream of rows in the order of the source. It ends after the first error.
pub struct Rows {
    path: PathBuf,
    files: std::vec::IntoIter<Arc<std::path::Path>>,
    format: Format,
    columns: Columns,
    ask: Ask,
    delimiter: Option<u8>,
    reading: Reading,
    notes: BTreeSet<Note>,
    current: Option<Reader>,
    /// Of what is read of the current file.
    hasher: Option<SharedHasher>,
    next_row: u64,
    stop: StopSignal,
    watch: Option<Watch>,
}

enum Reader {
    Parquet(Box<ParquetRows>),
    Json(Box<JsonRows>),
    Separated(Box<CsvRows>),
    Words(Box<WordColumns>),
    Conllu(Box<ConlluRows>),
    Squad(Box<SquadRows>),
}

impl Rows {
    pub(super) fn open(source: &Source) -> Result<Self, DataError> {
        let mut rows = Rows {
            path: source.path().to_owned(),
            files: source.files().to_vec().into_iter(),
            format: source.format(),
            columns: source.columns().clone(),
            ask: source.ask(),
            delimiter: source.delimiter(),
            reading: source.reading().clone(),
            notes: BTreeSet::new(),
            current: None,
            hasher: None,
            next_row: 0,
            stop: source.stop().clone(),
            watch: Watch::of(source),
        };
        rows.open_next()?;
        Ok(rows)
    }

    /// Opens the next file; false where there is none.
    fn open_next(&mut self) -> Result<bool, DataError> {
        self.keep_notes();
        let Some(file) = self.files.next() else {
            self.current = None;
            return Ok(false);
        };
        let (columns, ask) = (&self.columns, self.ask);
        let hasher = self.watch.is_some().then(SharedHasher::default);
        self.check_format(&file)?;
        self.current = Some(match self.format {
            Format::Parquet => Reader::Parquet(Box::new(ParquetRows::open(&file, columns, ask)?)),
            Format::Json => Reader::Json(Box::new(JsonRows::open(&file, columns, ask, hasher.clone())?)),
            Format::Words { .. } => {
                Reader::Words(Box::new(WordColumns::open(&file, columns, ask, hasher.clone())?))
            }
            Format::Conllu => Reader::Conllu(Box::new(ConlluRows::open(&file, columns, ask, hasher.clone())?)),
            Format::Squad => Reader::Squad(Box::new(SquadRows::open(&file, columns, hasher.clone())?)),
            Format::Separated(separator) => {
                let (delimiter, hasher) = (self.delimiter, hasher.clone());
                Reader::Separated(Box::new(CsvRows::open(&file, separator, delimiter, columns, ask, hasher)?))
            }
        });
        self.hasher = hasher;
        Ok(true)
    }

    /// Refuses a format that cannot have the rows that are asked for.
    fn check_format(&self, file: &Path) -> Result<(), DataError> {
        let wants_words = self.columns.kind == RowKind::Words;
        let what = match self.format {
            Format::Separated(_) if wants_words => {
                "CSV and TSV have no lists of words; .jsonl, .parquet, .conll and .conllu have"
            }
            Format::Words { certain: false } if !wants_words => {
                "a .txt file is read for token classification only (--task token_classification): a word and its tag in each \
                 line, a blank line after each sentence; texts are in .parquet, .jsonl, .csv or .tsv"
            }
            Format::Words { .. } | Format::Conllu if !wants_words => {
                "it has rows of words, which only token classification reads (--task token_classification)"
            }
            Format::Words { .. } | Format::Conllu
                if self.ask.problem_type.label_shape() != LabelShape::Tags =>
            {
                "its columns have a value for each word, and none for the row"
            }
            Format::Squad if self.columns.kind != RowKind::Answers => {
                "a .json file is read as questions in SQuAD's form, for question answering only \
                 (--task question_answering); rows as JSON are in .jsonl, one object per line"
            }
            _ => return Ok(()),
        };
        Err(DataError::Format { file: file.to_owned(), what: what.to_owned() })
    }

    /// Hashes the file that has just been read to its end; after the last one, compares all with what they must hold.
    fn end_of_file(&mut self) -> Result<(), DataError> {
        let Some(watch) = &mut self.watch else { return Ok(()) };
        match (&self.current, &self.hasher) {
            (Some(Reader::Parquet(rows)), _) => watch.file(rows.path(), rows.hash(&self.stop)?),
            (Some(_), Some(hasher)) => watch.file(&self.path, hasher.finish()),
            _ => {}
        }
        if self.files.as_slice().is_empty() { watch.end() } else { Ok(()) }
    }

    fn keep_notes(&mut self) {
        self.notes.extend(match &mut self.current {
            None => Vec::new(),
            Some(Reader::Parquet(rows)) => std::mem::take(&mut rows.notes),
            Some(Reader::Json(rows)) => std::mem::take(&mut rows.notes),
            Some(Reader::Separated(rows)) => std::mem::take(&mut rows.notes),
            Some(Reader::Words(rows)) => std::mem::take(&mut rows.notes),
            Some(Reader::Conllu(rows)) => std::mem::take(&mut rows.notes),
            Some(Reader::Squad(_)) => Vec::new(),
        });
    }

    /// What is to be said of the files that were read to their end.
    pub(super) fn into_notes(self) -> Vec<Note> {
        self.notes.into_iter().collect()
    }

    /// The next row with its label as it is written.
    pub(super) fn next_found(&mut self) -> Result<Option<(Row, Option<Found>)>, DataError> {
        let Some(raw) = self.next_raw()? else { return Ok(None) };
        let row = self.next_row;
        self.next_row += 1;
        let RawRow { id, text, text_pair, tokens, label, place } = raw;
        let id = id.unwrap_or_else(|| row.to_string());
        Ok(Some((Row { row, id, text, text_pair, tokens, label: None, place }, label)))
    }

    fn next_read(&mut self) -> Result<Option<Row>, DataError> {
        let Some((row, found)) = self.next_found()? else { return Ok(None) };
        let label = found.map(|found| self.reading.apply(found)).transpose();
        let label = label.map_err(|what| DataError::value(&row.place, self.columns.label_name(), what))?;
        Ok(Some(Row { label: label.flatten(), ..row }))
    }

    fn next_raw(&mut self) -> Result<Option<RawRow>, DataError> {
        self.stop.check()?;
        loop {
            let row = match &mut self.current {
                None => return Ok(None),
                Some(Reader::Parquet(rows)) => rows.next_row()?,
                Some(Reader::Json(rows)) => rows.next_row()?,
                Some(Reader::Separated(rows)) => rows.next_row()?,
                Some(Reader::Words(rows)) => rows.next_row()?,
                Some(Reader::Conllu(rows)) => rows.next_row()?,
                Some(Reader::Squad(rows)) => rows.next_row()?,
            };
            if row.is_some() {
                return Ok(row);
            }
            self.end_of_file()?;
            if !self.open_next()? && self.next_row == 0 {
                return Err(DataError::NoRows { file: self.path.clone() });
            }
        }
    }
}

impl Iterator for Rows {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.next_read();
        if row.is_err() {
            self.current = None;
        }
        row.transpose()
    }
}
