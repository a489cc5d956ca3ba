//! Plain text: a text per line, blank lines between documents.
//!
//! [`PlainText`] streams the lines of a `.txt` file with the number of their document. What is no text is refused with its line: a
//! NUL byte, bytes that are not UTF-8, a carriage return within a line, a line without an end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use distill_core::StopSignal;
use distill_core::hash::file_hash_until;

use super::lines::Lines;
use super::watch::SharedHasher;
use crate::error::{DataError, Place};

/// The longest line, in bytes. Articles of an encyclopedia are shorter; a longer line has lost its line ends.
pub const MAX_LINE: usize = 1 << 20;

/// One line that is not blank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextLine {
    /// The line without its end.
    pub text: String,
    /// The number of its document, from 0: documents are separated by blank lines.
    pub document: u64,
    /// File and line.
    pub place: Place,
}

/// The lines of a plain text file in their order, in bounded memory. The stream ends after the first error.
pub struct PlainText {
    path: PathBuf,
    lines: Option<Lines>,
    hasher: SharedHasher,
    /// What the hash of the content must be.
    expected: Option<String>,
    stop: StopSignal,
    document: u64,
    /// Whether the current document has a line.
    is_begun: bool,
}

impl PlainText {
    /// Whether a path is read as plain text: its name ends in `.txt`.
    pub fn is(path: &Path) -> bool {
        path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"))
    }

    /// Opens a file. Reading it ends with [`DataError::Stopped`] once a stop is asked for.
    ///
    /// # Errors
    /// [`DataError::File`]. All others come out of the stream.
    pub fn open(path: &Path, stop: &StopSignal) -> Result<Self, DataError> {
        let hasher = SharedHasher::default();
        let lines = Lines::open_hashed(&Arc::from(path), Some(hasher.clone()))?.at_most(MAX_LINE);
        Ok(PlainText {
            path: path.to_owned(),
            lines: Some(lines),
            hasher,
            expected: None,
            stop: stop.clone(),
            document: 0,
            is_begun: false,
        })
    }

    /// The same stream, which ends with [`DataError::Changed`] unless the content has this [`PlainText::hash_of`].
    pub fn holding(self, hash: &str) -> Self {
        PlainText { expected: Some(hash.to_owned()), ..self }
    }

    /// blake3 of a file, as 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`DataError::File`]; [`DataError::Stopped`].
    pub fn hash_of(path: &Path, stop: &StopSignal) -> Result<String, DataError> {
        Ok(file_hash_until(path, stop)?)
    }

    /// The lines of each document together. A document is held in memory.
    pub fn documents(self) -> Documents {
        Documents { lines: self, next: None }
    }

    fn next_text(&mut self) -> Result<Option<TextLine>, DataError> {
        self.stop.check()?;
        let Some(lines) = &mut self.lines else { return Ok(None) };
        while let Some(line) = lines.next_any_line()? {
            if line.trim().is_empty() {
                self.document += u64::from(std::mem::take(&mut self.is_begun));
                continue;
            }
            let what = wrong(line);
            let text = line.to_owned();
            let place = lines.place();
            if let Some(what) = what {
                return Err(DataError::record(&place, what));
            }
            self.is_begun = true;
            return Ok(Some(TextLine { text, document: self.document, place }));
        }
        self.end().map(|()| None)
    }

    /// What has to be so once the file was read to its end.
    fn end(&mut self) -> Result<(), DataError> {
        self.lines = None;
        if self.document == 0 && !self.is_begun {
            return Err(DataError::NoRows { file: self.path.clone() });
        }
        match &self.expected {
            Some(expected) if *expected != self.hasher.finish() => {
                let what = "its content is not what it was when it was hashed".to_owned();
                Err(DataError::Changed { file: self.path.clone(), what })
            }
            _ => Ok(()),
        }
    }
}

/// What a line of text does not have.
fn wrong(line: &str) -> Option<&'static str> {
    if line.contains('\0') {
        return Some("a NUL byte: this is a binary file, not plain text");
    }
    line.contains('\r')
        .then_some("a carriage return without a line feed; lines must end with a line feed (LF or CR LF)")
}

impl Iterator for PlainText {
    type Item = Result<TextLine, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_text();
        if line.is_err() {
            self.lines = None;
        }
        line.transpose()
    }
}

/// The documents of a plain text file: each has at least one line. The stream ends after the first error.
pub struct Documents {
    lines: PlainText,
    /// The first line of the next document, or the error that ends the stream.
    next: Option<Result<TextLine, DataError>>,
}

impl Iterator for Documents {
    type Item = Result<Vec<TextLine>, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.next.take().or_else(|| self.lines.next())? {
            Ok(first) => first,
            Err(error) => return Some(Err(error)),
        };
        let mut document = vec![first];
        for line in self.lines.by_ref() {
            match line {
                Ok(line) if line.document == document[0].document => document.push(line),
                other => {
                    self.next = Some(other);
                    break;
                }
            }
        }
        Some(Ok(document))
    }
}

#[cfg(test)]
mod tests {
    use super::super::word_tests::file;
    use super::*;
    use crate::error::At;

    fn read(bytes: &[u8]) -> Result<Vec<TextLine>, String> {
        let (_directory, path) = file("a.txt", bytes);
        let text = PlainText::open(&path, &StopSignal::default()).unwrap();
        text.collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    #[test]
    fn lines_have_their_place_and_blank_lines_separate_documents() {
        let lines = read(b"\xef\xbb\xbf\n \none\r\n two \n\n\t\n\xe4\xb8\x89").unwrap();
        let found: Vec<_> =
            lines.iter().map(|line| (line.text.as_str(), line.document, line.place.at)).collect();
        assert_eq!(found, [("one", 0, At::Line(3)), (" two ", 0, At::Line(4)), ("三", 1, At::Line(7))]);
    }

    #[test]
    fn documents_are_the_lines_between_blank_lines() {
        let (_directory, path) = file("a.txt", b"a\nb\n\n\nc\n");
        let documents = PlainText::open(&path, &StopSignal::default()).unwrap().documents();
        let texts: Vec<Vec<String>> =
            documents.map(|document| document.unwrap().into_iter().map(|line| line.text).collect()).collect();
        assert_eq!(texts, [vec!["a", "b"], vec!["c"]]);
        let (_directory, path) = file("a.txt", b"a\n\nb\0\n\nc\n");
        let mut documents = PlainText::open(&path, &StopSignal::default()).unwrap().documents();
        assert_eq!(documents.next().unwrap().unwrap().len(), 1);
        assert!(documents.next().unwrap().unwrap_err().to_string().contains("line 3: a NUL byte"));
        assert!(documents.next().is_none());
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_line() {
        for (bytes, expected) in [
            (&b"a\nb\0c\n"[..], "a.txt: line 2: a NUL byte"),
            (b"a\n\nb\xff", "a.txt: line 3: not UTF-8 at byte 2"),
            (b"a\rb\rc", "a.txt: line 1: a carriage return"),
            (b"", "a.txt has no rows"),
            (b"\n \n\n", "a.txt has no rows"),
        ] {
            let error = read(bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let error = read(&[b"a\n".to_vec(), vec![b'x'; MAX_LINE + 1]].concat()).unwrap_err();
        assert!(error.contains("line 2: the line is longer than 1 MiB"), "{error}");
        assert_eq!(read(&vec![b'x'; MAX_LINE]).unwrap().len(), 1);
    }

    #[test]
    fn content_that_was_hashed_otherwise_is_refused_at_its_end() {
        let (_directory, path) = file("a.txt", b"a\n");
        let stop = StopSignal::default();
        let hash = PlainText::hash_of(&path, &stop).unwrap();
        let lines = |hash: &str| PlainText::open(&path, &stop).unwrap().holding(hash);
        assert!(lines(&hash).all(|line| line.is_ok()));
        let last = lines("0").last().unwrap().unwrap_err();
        assert!(matches!(last, DataError::Changed { .. }), "{last}");
    }
}
