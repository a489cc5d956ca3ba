//! Lines of a text file, one at a time, in bounded memory.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use distill_core::atomic::FileError;
use distill_core::open;

use super::watch::{Hashed, SharedHasher};
use crate::error::{At, DataError, Place};

/// The longest line or record that is read; a longer one is taken for a damaged file.
pub(crate) const MAX_LINE: usize = 64 << 20;

/// Reads a file line by line, without line ends and without a byte order mark at its start.
pub(crate) struct Lines {
    file: Arc<Path>,
    reader: BufReader<Hashed>,
    buffer: Vec<u8>,
    line: u64,
    /// The longest line, in bytes.
    limit: usize,
}

impl Lines {
    pub(crate) fn open(path: &Arc<Path>) -> Result<Self, DataError> {
        Self::open_hashed(path, None)
    }

    /// As [`Lines::open`]; all that is read is hashed.
    pub(crate) fn open_hashed(path: &Arc<Path>, hasher: Option<SharedHasher>) -> Result<Self, DataError> {
        let file = open::to_read(path).map_err(FileError::of("open", path))?;
        let reader = BufReader::with_capacity(1 << 17, Hashed::new(file, hasher));
        Ok(Lines { file: Arc::clone(path), reader, buffer: Vec::new(), line: 0, limit: MAX_LINE })
    }

    /// The same lines, none of which is longer than this number of bytes, a whole number of MiB.
    pub(crate) fn at_most(self, limit: usize) -> Self {
        Lines { limit, ..self }
    }

    /// Where the latest line stands.
    pub(crate) fn place(&self) -> Place {
        Place { file: Arc::clone(&self.file), at: At::Line(self.line) }
    }

    /// The next line that is not blank.
    ///
    /// # Errors
    /// [`DataError::Record`] for a line that is not UTF-8 or too long; [`DataError::File`].
    pub(crate) fn next_line(&mut self) -> Result<Option<&str>, DataError> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            if !self.buffer.trim_ascii().is_empty() {
                break;
            }
        }
        self.as_text().map(Some)
    }

    /// The next line, also a blank one.
    ///
    /// # Errors
    /// As [`Lines::next_line`].
    pub(crate) fn next_any_line(&mut self) -> Result<Option<&str>, DataError> {
        if self.fill()? { self.as_text().map(Some) } else { Ok(None) }
    }

    fn as_text(&self) -> Result<&str, DataError> {
        match std::str::from_utf8(&self.buffer) {
            Ok(line) => Ok(line),
            Err(error) => {
                let place = Place { file: Arc::clone(&self.file), at: At::Line(self.line) };
                Err(DataError::record(&place, format!("not UTF-8 at byte {}", error.valid_up_to() + 1)))
            }
        }
    }

    /// Reads one line into the buffer; false at the end of the file.
    fn fill(&mut self) -> Result<bool, DataError> {
        self.buffer.clear();
        self.line += 1;
        let mut any = false;
        loop {
            let bytes = self.reader.fill_buf().map_err(FileError::of("read", &self.file))?;
            if bytes.is_empty() {
                break;
            }
            any = true;
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.buffer.len() + part.len() > self.limit {
                let what = format!("the line is longer than {} MiB", self.limit >> 20);
                return Err(DataError::record(&self.place(), what));
            }
            self.buffer.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                break;
            }
        }
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
            self.buffer.drain(..3);
        }
        Ok(any)
    }
}
