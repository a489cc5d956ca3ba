//! The files of a soft-target store while a teacher pass writes them.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use distill_core::atomic::{self, FileError};
use distill_core::hash::file_hash_until;
use distill_data::DataError;
use distill_data::logits::{
    FileEntry, Fingerprint, LogitsRow, LogitsTable, LogitsWriter, Shard, WriterOptions, shard_name,
};
use distill_teacher::RunnerError;

use crate::error::Result;
use crate::outdir::OutDir;
use crate::outdir::names::PROGRESS_FILE;
use crate::session::stop_signal;
use crate::settings::schema::TeacherSettings;

/// The store's files, one open at a time. A file ends where its rows' number in the source is a multiple
/// of `shard_rows`, wherever the store begins: the files of several shards are those of one pass over all
/// rows, but for one more border where a shard ends inside a file.
pub struct StoreFiles<'a> {
    out: &'a OutDir,
    fingerprint: &'a Fingerprint,
    options: WriterOptions,
    shard_rows: u64,
    /// The store's rows in the source.
    rows: Range<u64>,
    count: usize,
    current: Option<LogitsWriter>,
    first_row: u64,
    next_row: u64,
    done: Vec<Shard>,
    /// What an earlier part of this run said that it finished.
    finished: Vec<Shard>,
    /// Whether the rows are still those that were hashed: a file becomes visible only then.
    unchanged: &'a (dyn Fn() -> Result<(), DataError> + Sync),
}

impl<'a> StoreFiles<'a> {
    /// The files of these rows of the source, after those that an earlier part of this run finished.
    ///
    /// # Errors
    /// Where a finished file cannot be read, or belongs to other logits.
    pub fn new(
        teacher: &TeacherSettings,
        out: &'a OutDir,
        fingerprint: &'a Fingerprint,
        rows: Range<u64>,
        unchanged: &'a (dyn Fn() -> Result<(), DataError> + Sync),
    ) -> Result<Self> {
        let count = match rows.end.checked_sub(1) {
            Some(last) if !rows.is_empty() => last / teacher.shard_rows - rows.start / teacher.shard_rows + 1,
            _ => 0,
        };
        let mut files = StoreFiles {
            out,
            fingerprint,
            options: WriterOptions {
                with_text: teacher.text,
                float16: teacher.float16,
                ..WriterOptions::default()
            },
            shard_rows: teacher.shard_rows,
            count: usize::try_from(count).unwrap_or(usize::MAX),
            current: None,
            first_row: rows.start,
            next_row: rows.start,
            done: Vec::new(),
            finished: if out.is_resumed() { read_progress(out)? } else { Vec::new() },
            rows,
            unchanged,
        };
        while out.is_resumed() && files.next_row < files.rows.end && files.take_finished()? {}
        Ok(files)
    }

    /// Position in the source of the first row that is still to be computed.
    pub fn next_row(&self) -> u64 {
        self.next_row
    }

    /// Adds the rows that come next.
    ///
    /// # Errors
    /// Those of the files.
    pub fn write(&mut self, mut rows: &[LogitsRow]) -> Result<(), RunnerError> {
        while !rows.is_empty() {
            let room = usize::try_from(self.border() - self.next_row).unwrap_or(usize::MAX);
            let (now, later) = rows.split_at(room.min(rows.len()));
            if self.current.is_none() {
                self.first_row = self.next_row;
            }
            let writer = match &mut self.current {
                Some(writer) => writer,
                None => {
                    self.current.insert(LogitsWriter::create(&self.path(), self.fingerprint, self.options)?)
                }
            };
            writer.write(now)?;
            let border = self.border();
            self.next_row += now.len() as u64;
            if self.next_row == border {
                self.close()?;
            }
            rows = later;
        }
        Ok(())
    }

    /// All files, the last one too.
    ///
    /// # Errors
    /// Those of the last file.
    pub fn finish(mut self) -> Result<Vec<Shard>, RunnerError> {
        self.close()?;
        Ok(self.done)
    }

    /// Where the file of the next row ends.
    fn border(&self) -> u64 {
        let files = self.next_row / self.shard_rows + 1;
        files.saturating_mul(self.shard_rows).min(self.rows.end)
    }

    fn path(&self) -> PathBuf {
        self.out.path().join(shard_name(self.done.len(), self.count))
    }

    /// Takes over the next file where an earlier part of this run wrote it and it has not changed since. One that
    /// was finished and not noted any more is computed again, to the same bytes.
    fn take_finished(&mut self) -> Result<bool> {
        let path = self.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(noted) = self.finished.iter().find(|shard| shard.file.name == name && path.exists()) else {
            return Ok(false);
        };
        let blake3 = file_hash_until(&path, stop_signal())?;
        if blake3 != noted.file.blake3 {
            tracing::warn!("{} is not the file that was written; it is recomputed", path.display());
            return Ok(false);
        }
        let table = match LogitsTable::open(&path) {
            Ok(table) => table,
            Err(error @ DataError::Damaged { .. }) => {
                tracing::warn!("{error}; it is recomputed");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let rows = table.num_rows().unwrap_or(0);
        let Some(found) = table.fingerprint().filter(|_| rows == self.border() - self.next_row) else {
            return Ok(false);
        };
        self.fingerprint.must_equal("this run", found, &path.display().to_string())?;
        let file = FileEntry {
            name,
            rows,
            bytes: std::fs::metadata(&path).map_err(FileError::of("read", &path))?.len(),
            blake3,
        };
        self.done.push(Shard { file, first_row: self.next_row });
        self.next_row += rows;
        Ok(true)
    }

    fn close(&mut self) -> Result<(), RunnerError> {
        if let Some(writer) = self.current.take() {
            (self.unchanged)()?;
            self.done.push(Shard { file: writer.finish()?, first_row: self.first_row });
            let path = self.out.path().join(PROGRESS_FILE);
            let json = serde_json::to_vec_pretty(&self.done);
            let json = json.map_err(|error| FileError::new("write", &path, io::Error::other(error)))?;
            atomic::write(&path, &json)?;
        }
        Ok(())
    }
}

/// The files that an earlier part of a run noted; none where it noted nothing that can be read.
fn read_progress(out: &OutDir) -> Result<Vec<Shard>> {
    let path = out.path().join(PROGRESS_FILE);
    match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        bytes => {
            Ok(serde_json::from_slice(&bytes.map_err(FileError::of("read", &path))?).unwrap_or_else(|error| {
                tracing::warn!("{}: {error}; the files are recomputed", path.display());
                Vec::new()
            }))
        }
    }
}
