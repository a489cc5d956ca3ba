//! Documents without labels: the rows of a source, or the documents of plain text.
//!
//! A plain text file whose documents are separated by blank lines has those; in a file without a blank line between two
//! others, each line is a document, which is said.

use std::path::{Path, PathBuf};

use distill_core::StopSignal;

use super::note::Note;
use super::plain_text::{PlainText, TextLine};
use super::{Columns, Source, Summary};
use crate::error::{DataError, Place};

/// A file of documents, or a directory of Parquet shards, that can be read as often as needed.
#[derive(Clone, Debug)]
pub struct DocumentSource {
    kind: Kind,
    stop: StopSignal,
    /// What its hash must be when it is read.
    expected: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    Rows(Box<Source>),
    Plain {
        path: PathBuf,
        /// Whether each line is a document.
        by_line: bool,
    },
}

/// One document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Position in the source, from 0.
    pub row: u64,
    /// Its id; by default its position.
    pub id: String,
    /// Its lines, or the text of its row.
    pub lines: Vec<String>,
    /// The second text of a row.
    pub pair: Option<String>,
    /// Where it begins, for messages.
    pub place: Place,
}

/// What one pass over all documents found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocumentsSummary {
    /// Number of documents.
    pub documents: u64,
    /// Documents without any text.
    pub empty: u64,
    /// Bytes of the longest one.
    pub longest_bytes: u64,
    /// What is to be said of how they were read.
    pub notes: Vec<Note>,
}

/// A stream of documents.
type Stream = Box<dyn Iterator<Item = Result<Document, DataError>>>;

impl DocumentSource {
    /// Chooses the reader by the name's ending: `.txt` is plain text, all others are rows as [`Source::open`] reads them,
    /// whose labels are passed over.
    ///
    /// # Errors
    /// Those of [`Source::open`]; [`DataError::File`] where there is no such file.
    pub fn open(
        path: &Path,
        columns: &Columns,
        delimiter: Option<u8>,
        stop: &StopSignal,
    ) -> Result<Self, DataError> {
        let kind = if PlainText::is(path) && !path.is_dir() {
            drop(PlainText::open(path, stop)?);
            Kind::Plain { path: path.to_owned(), by_line: false }
        } else {
            let source = Source::open(path, columns)?.without_labels().delimited_by(delimiter).stopped_by(stop);
            Kind::Rows(Box::new(source))
        };
        Ok(DocumentSource { kind, stop: stop.clone(), expected: None })
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        match &self.kind {
            Kind::Rows(source) => source.path(),
            Kind::Plain { path, .. } => path,
        }
    }

    /// The rows, where it is not plain text.
    pub fn rows(&self) -> Option<&Source> {
        match &self.kind {
            Kind::Rows(source) => Some(source),
            Kind::Plain { .. } => None,
        }
    }

    /// How plain text is read; the same bytes read in another way are other documents.
    pub fn plain_reading(&self) -> &'static str {
        match &self.kind {
            Kind::Plain { by_line: true, .. } => "plain text, a document per line",
            _ => "plain text, documents between blank lines",
        }
    }

    /// blake3 of the content, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`DataError::File`]; [`DataError::Stopped`].
    pub fn hash(&self) -> Result<String, DataError> {
        match &self.kind {
            Kind::Rows(source) => source.hash(),
            Kind::Plain { path, .. } => PlainText::hash_of(path, &self.stop),
        }
    }

    /// The same texts, which end with [`DataError::Changed`] unless what was read has this [`DocumentSource::hash`].
    pub fn holding(self, hash: &str) -> Self {
        DocumentSource { expected: Some(hash.to_owned()), ..self }
    }

    /// Reads all of it once, and decides what the documents of plain text are.
    ///
    /// # Errors
    /// Those of the rows or lines.
    pub fn scan(&mut self) -> Result<DocumentsSummary, DataError> {
        let expected = self.expected.clone();
        match &mut self.kind {
            Kind::Rows(source) => {
                let mut source = source.as_ref().clone();
                if let Some(hash) = &expected {
                    source = source.holding(hash);
                }
                let Summary { rows, empty_texts, longest_text_bytes, notes, .. } =
                    Summary::scan(&source, &self.stop)?;
                Ok(DocumentsSummary {
                    documents: rows,
                    empty: empty_texts,
                    longest_bytes: longest_text_bytes,
                    notes,
                })
            }
            Kind::Plain { path, by_line } => {
                let summary = scan_lines(held(PlainText::open(path, &self.stop)?, expected.as_deref()), path)?;
                *by_line = summary.0;
                Ok(summary.1)
            }
        }
    }

    /// A stream over all documents.
    ///
    /// # Errors
    /// Those of opening the first file. All others come out of the stream.
    pub fn documents(&self) -> Result<Stream, DataError> {
        match &self.kind {
            Kind::Rows(source) => {
                let mut source = source.as_ref().clone();
                if let Some(hash) = &self.expected {
                    source = source.holding(hash);
                }
                Ok(Box::new(source.rows()?.map(|row| {
                    let row = row?;
                    Ok(Document {
                        row: row.row,
                        id: row.id,
                        lines: vec![row.text],
                        pair: row.text_pair,
                        place: row.place,
                    })
                })))
            }
            Kind::Plain { path, by_line } => {
                let text = held(PlainText::open(path, &self.stop)?, self.expected.as_deref());
                let whole: Box<dyn Iterator<Item = _>> = match by_line {
                    true => Box::new(text.map(|line| line.map(|line| vec![line]))),
                    false => Box::new(text.documents()),
                };
                let documents = (0..).zip(whole);
                Ok(Box::new(
                    documents.filter_map(|(row, lines)| lines.map(|lines| of_lines(row, lines)).transpose()),
                ))
            }
        }
    }
}

/// The stream, which must have this hash.
fn held(text: PlainText, expected: Option<&str>) -> PlainText {
    match expected {
        Some(hash) => text.holding(hash),
        None => text,
    }
}

/// A document of these lines; none of none.
fn of_lines(row: u64, lines: Vec<TextLine>) -> Option<Document> {
    let place = lines.first()?.place.clone();
    let lines = lines.into_iter().map(|line| line.text).collect();
    Some(Document { row, id: row.to_string(), lines, pair: None, place })
}

/// Whether each line is a document, and the counts that follow from it.
fn scan_lines(text: PlainText, path: &Path) -> Result<(bool, DocumentsSummary), DataError> {
    let (mut lines, mut documents) = (0u64, 0u64);
    let (mut longest_line, mut longest, mut length) = (0u64, 0u64, 0u64);
    for line in text {
        let line = line?;
        let bytes = line.text.len() as u64;
        length = if line.document + 1 == documents { length + bytes } else { bytes };
        (lines, documents) = (lines + 1, line.document + 1);
        (longest_line, longest) = (longest_line.max(bytes), longest.max(length));
    }
    let by_line = documents == 1 && lines > 1;
    let (documents, longest_bytes) = if by_line { (lines, longest_line) } else { (documents, longest) };
    let said = match by_line {
        true => "no blank line separates documents, so each line is read as a document",
        false => "blank lines separate documents",
    };
    let notes = vec![Note::said(format!("{}: {said}", path.display()))];
    Ok((by_line, DocumentsSummary { documents, empty: 0, longest_bytes, notes }))
}

#[cfg(test)]
mod tests {
    use super::super::word_tests::file;
    use super::*;

    fn read(name: &str, bytes: &[u8]) -> (DocumentsSummary, Vec<Document>) {
        let (_directory, path) = file(name, bytes);
        let mut texts = DocumentSource::open(&path, &Columns::default(), None, &StopSignal::default()).unwrap();
        let texts_hash = texts.hash().unwrap();
        texts = texts.holding(&texts_hash);
        let summary = texts.scan().unwrap();
        let documents = texts.documents().unwrap().collect::<Result<_, _>>().unwrap();
        (summary, documents)
    }

    fn lines(documents: &[Document]) -> Vec<Vec<&str>> {
        documents.iter().map(|document| document.lines.iter().map(String::as_str).collect()).collect()
    }

    #[test]
    fn plain_text_has_documents_between_blank_lines_or_one_per_line() {
        let (summary, documents) = read("a.txt", b"one\ntwo\n\n\nthree\n");
        assert_eq!(lines(&documents), [vec!["one", "two"], vec!["three"]]);
        assert_eq!((summary.documents, summary.longest_bytes, documents[1].row), (2, 6, 1));
        let (summary, documents) = read("a.txt", b"one\ntwo\nthree\n\n");
        assert_eq!(lines(&documents), [["one"], ["two"], ["three"]]);
        assert_eq!((summary.documents, summary.longest_bytes), (3, 5));
        assert!(summary.notes[0].text.contains("each line is read as a document"), "{summary:?}");
        assert_eq!(read("a.txt", b"one\n").0.documents, 1);
    }

    #[test]
    fn rows_are_documents_whatever_their_labels_are() {
        let rows = b"{\"id\": \"x\", \"text\": \"a\", \"text_pair\": \"b\", \"label\": {\"no\": 1}}\n{\"id\": \"y\", \"text\": \"\"}\n";
        let (summary, documents) = read("a.jsonl", rows);
        assert_eq!((summary.documents, summary.empty), (2, 1));
        assert_eq!((documents[0].id.as_str(), documents[0].pair.as_deref()), ("x", Some("b")));
        assert_eq!(lines(&documents), [["a"], [""]]);
    }

    #[test]
    fn content_that_was_hashed_otherwise_is_refused() {
        for name in ["a.txt", "a.csv"] {
            let (_directory, path) = file(name, b"text\na\n");
            let texts = DocumentSource::open(&path, &Columns::default(), None, &StopSignal::default()).unwrap();
            let last = texts.holding("0").documents().unwrap().last().unwrap();
            assert!(matches!(last, Err(DataError::Changed { .. })), "{name}: {last:?}");
        }
    }
}
