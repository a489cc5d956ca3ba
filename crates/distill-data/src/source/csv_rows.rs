//! Rows of separated values: a header, then records quoted as RFC 4180 says, for CSV and TSV alike.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use distill_core::atomic::FileError;
use distill_core::open;

use super::columns::{Columns, Role};
use super::found::Ask;
use super::labels::label_from_cell;
use super::lines::MAX_LINE;
use super::note::Note;
use super::row::RawRow;
use super::watch::{Hashed, SharedHasher};
use crate::error::{At, DataError, Place};

/// The longest header: each of its columns takes some ten times its bytes.
const MAX_HEADER: usize = 1 << 20;
/// The csv crate's own buffer; what it holds counts against the next record.
const BUFFER: usize = 1 << 17;

/// Streams the records of a CSV or TSV file.
pub(super) struct CsvRows {
    file: Arc<Path>,
    reader: Reader<Bounded>,
    record: ByteRecord,
    positions: [Option<usize>; 4],
    columns: Columns,
    ask: Ask,
    separator: u8,
    pub(super) notes: Vec<Note>,
    drawn: Arc<AtomicUsize>,
    last_start: Option<(u64, u64)>,
    /// 1 where lines end in CR LF: the csv crate counts the LF to the next record.
    line_offset: u64,
}

impl CsvRows {
    /// Opens a file whose fields are separated as its ending says, or as another separator makes sense of its
    /// header; `delimiter` decides where it is given.
    pub(super) fn open(
        path: &Arc<Path>,
        separator: u8,
        delimiter: Option<u8>,
        columns: &Columns,
        ask: Ask,
        hasher: Option<SharedHasher>,
    ) -> Result<Self, DataError> {
        let mut opened = Opened::new(path, delimiter.unwrap_or(separator), hasher.clone())?;
        let mut notes = Vec::new();
        if delimiter.is_none() && !columns.has_text(&opened.names) {
            for other in SEPARATORS.into_iter().filter(|other| *other != separator) {
                let Ok(with) = Opened::new(path, other, None) else { continue };
                if columns.has_text(&with.names) {
                    notes.push(Note::said(format!(
                        "{}: read with the separator {}, not {}",
                        path.display(),
                        separator_name(other),
                        separator_name(separator)
                    )));
                    // The file is read from its first byte again, and so it is hashed.
                    hasher.iter().for_each(SharedHasher::restart);
                    opened = Opened::new(path, other, hasher)?;
                    break;
                }
            }
        }
        let (positions, of_columns) = columns.positions(path, &opened.names)?;
        notes.extend(of_columns);
        Ok(CsvRows {
            file: Arc::clone(path),
            reader: opened.reader,
            record: ByteRecord::new(),
            positions,
            columns: columns.clone(),
            ask,
            separator: opened.separator,
            notes,
            drawn: opened.drawn,
            last_start: None,
            line_offset: u64::from(ends_lines_with_cr(path)?),
        })
    }

    pub(super) fn next_row(&mut self) -> Result<Option<RawRow>, DataError> {
        self.drawn.store(0, Ordering::Relaxed);
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|error| failure(&self.file, error, self.line_offset))? {
            return self.check_closed().map(|()| None);
        }
        let (byte, line) = self.record.position().map_or((0, 0), |at| (at.byte(), at.line()));
        let line = line + self.line_offset;
        self.last_start = Some((byte, line));
        self.row(Place { file: Arc::clone(&self.file), at: At::Line(line) }).map(Some)
    }

    fn row(&self, place: Place) -> Result<RawRow, DataError> {
        let cell = |role: Role| -> Result<Option<&str>, DataError> {
            let position = self.positions[role as usize];
            let bytes = position.and_then(|position| self.record.get(position));
            bytes.map(std::str::from_utf8).transpose().map_err(|error| {
                let what = format!("not UTF-8 at byte {} of the field", error.valid_up_to() + 1);
                DataError::value(&place, self.columns.name(role), what)
            })
        };
        let label = cell(Role::Label)?.map(|cell| label_from_cell(cell, self.ask)).transpose();
        let label = label.map_err(|what| DataError::value(&place, self.columns.label_name(), what))?;
        Ok(RawRow {
            id: cell(Role::Id)?.map(str::to_owned),
            text: cell(Role::Text)?.unwrap_or_default().to_owned(),
            text_pair: cell(Role::TextPair)?.map(str::to_owned),
            tokens: None,
            label: label.flatten(),
            place,
        })
    }

    /// A quote that is never closed swallows the rest of a file, and the csv crate lets it.
    fn check_closed(&self) -> Result<(), DataError> {
        let Some((start, line)) = self.last_start else { return Ok(()) };
        let mut file = open::to_read(&self.file).map_err(FileError::of("open", &self.file))?;
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.take(MAX_LINE as u64 + BUFFER as u64).read_to_end(&mut tail))
            .map_err(FileError::of("read", &self.file))?;
        if ends_in_quotes(&tail, self.separator) {
            let place = Place { file: Arc::clone(&self.file), at: At::Line(line) };
            return Err(DataError::record(&place, "a quoted field is never closed; the file may be truncated"));
        }
        Ok(())
    }
}

/// What separates fields, the likeliest first.
const SEPARATORS: [u8; 4] = [b',', b';', b'\t', b'|'];

fn separator_name(separator: u8) -> String {
    match separator {
        b'\t' => "tabs".to_owned(),
        other => format!("{:?}", char::from(other)),
    }
}

/// A file whose header was read.
struct Opened {
    reader: Reader<Bounded>,
    separator: u8,
    names: Vec<String>,
    drawn: Arc<AtomicUsize>,
}

impl Opened {
    fn new(path: &Arc<Path>, separator: u8, hasher: Option<SharedHasher>) -> Result<Self, DataError> {
        let drawn = Arc::new(AtomicUsize::new(0));
        let file = open::to_read(path).map_err(FileError::of("open", path))?;
        // The header counts as one that has been read in part: only this much of it is left.
        drawn.store(MAX_LINE - MAX_HEADER, Ordering::Relaxed);
        let bounded = Bounded { file: Hashed::new(file, hasher), drawn: Arc::clone(&drawn) };
        let mut reader = ReaderBuilder::new().delimiter(separator).buffer_capacity(BUFFER).from_reader(bounded);
        let header = reader.byte_headers().map_err(|error| match failure(path, error, 0) {
            DataError::Damaged { .. } => DataError::damaged(path, "its header is longer than 1 MiB"),
            other => other,
        })?;
        let mut names = Vec::with_capacity(header.len());
        for name in header {
            let place = Place { file: Arc::clone(path), at: At::Line(1) };
            let name = std::str::from_utf8(name);
            names.push(name.map_err(|_| DataError::record(&place, "the header is not UTF-8"))?.to_owned());
        }
        match names.is_empty() {
            true => Err(DataError::NoRows { file: path.to_path_buf() }),
            false => Ok(Opened { reader, separator, names, drawn }),
        }
    }
}

/// True where the bytes, which start at a record, end inside a quoted field.
fn ends_in_quotes(bytes: &[u8], separator: u8) -> bool {
    #[derive(PartialEq)]
    enum State {
        FieldStart,
        Plain,
        Quoted,
        MaybeClosed,
    }
    let mut state = State::FieldStart;
    for byte in bytes {
        let break_here = *byte == separator || matches!(byte, b'\n' | b'\r');
        state = match state {
            State::FieldStart | State::MaybeClosed if *byte == b'"' => State::Quoted,
            State::Quoted if *byte == b'"' => State::MaybeClosed,
            State::Quoted => State::Quoted,
            _ if break_here => State::FieldStart,
            _ => State::Plain,
        };
    }
    state == State::Quoted
}

/// True where the first line ends in CR LF.
fn ends_lines_with_cr(path: &Path) -> Result<bool, DataError> {
    let mut start = Vec::new();
    let file = open::to_read(path).map_err(FileError::of("open", path))?;
    file.take(BUFFER as u64).read_to_end(&mut start).map_err(FileError::of("read", path))?;
    let end = start.iter().position(|byte| *byte == b'\n');
    Ok(end.is_some_and(|end| end > 0 && start[end - 1] == b'\r'))
}

fn failure(file: &Arc<Path>, error: csv::Error, line_offset: u64) -> DataError {
    let line = error.position().map_or(1, |at| at.line() + line_offset);
    let place = Place { file: Arc::clone(file), at: At::Line(line) };
    match error.into_kind() {
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            DataError::damaged(file, "a record is longer than 64 MiB; a quote may never be closed")
        }
        ErrorKind::Io(error) => FileError::new("read", file, error).into(),
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            DataError::record(&place, format!("{len} fields, but the header has {expected_len}"))
        }
        kind => DataError::record(&place, format!("{kind:?}")),
    }
}

/// A file that refuses to be read further once a single record has drawn too much of it.
struct Bounded {
    file: Hashed,
    drawn: Arc<AtomicUsize>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let drawn = self.drawn.fetch_add(read, Ordering::Relaxed) + read;
        if drawn > MAX_LINE + BUFFER {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(read)
    }
}
