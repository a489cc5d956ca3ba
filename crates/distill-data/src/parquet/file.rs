//! Opening a Parquet file: its footer, checked against the file before anything relies on it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use distill_core::atomic::FileError;
use distill_core::{StopSignal, open};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::schema::types::Type;

use super::footer::check_footer;
use super::guarded;
use crate::error::DataError;
use crate::stamp::{Stamp, hash_open};

/// The footer's length and the format's four letters.
const TAIL: u64 = 8;
/// The largest footer that is read into memory.
const MAX_FOOTER: u64 = 64 << 20;

/// An open Parquet file whose footer has been read and checked.
#[derive(Clone)]
pub struct ParquetFile {
    pub(super) path: Arc<Path>,
    pub(super) file: Arc<File>,
    pub(super) metadata: Arc<ParquetMetaData>,
}

impl ParquetFile {
    /// Opens a file and reads its footer.
    ///
    /// # Errors
    /// [`DataError::File`] from the system, [`DataError::Damaged`] where the file is not Parquet or its
    /// footer contradicts itself or the file's length.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::of(open::to_read(path).map_err(FileError::of("open", path))?, path)
    }

    /// As [`ParquetFile::open`], of a file that is open.
    pub(crate) fn of(mut file: File, path: &Path) -> Result<Self, DataError> {
        let length = file.metadata().map_err(FileError::of("read", path))?.len();
        let footer = read_footer(&mut file, path, length)?;
        let metadata = guarded(path, || {
            check_footer(&footer)?;
            let metadata = ParquetMetaDataReader::decode_metadata(&footer)?;
            check_row_groups(&metadata, length)?;
            Ok(metadata)
        })?;
        Ok(ParquetFile { path: path.into(), file: Arc::new(file), metadata: Arc::new(metadata) })
    }

    /// blake3 of all of the file that is open, whatever has its name by now.
    pub(crate) fn hash(&self, stop: &StopSignal) -> Result<String, DataError> {
        hash_open(&self.file, &self.path, stop)
    }

    /// What the open file is now.
    pub(crate) fn stamp(&self) -> Result<Stamp, DataError> {
        Ok(Stamp::of(&self.file.metadata().map_err(FileError::of("read", &self.path))?))
    }

    /// The file's name as it was opened.
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Number of rows, as the footer states it; the row groups' sum has been checked to agree.
    pub fn num_rows(&self) -> u64 {
        self.metadata.row_groups().iter().map(|group| group.num_rows().unsigned_abs()).sum()
    }

    /// Names of the columns at the top level, in their order.
    pub fn column_names(&self) -> Vec<&str> {
        self.fields().iter().map(|field| field.name()).collect()
    }

    /// The value of a key in the footer.
    pub fn key_value(&self, key: &str) -> Option<&str> {
        let pairs = self.metadata.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    }

    pub(super) fn fields(&self) -> &[Arc<Type>] {
        self.metadata.file_metadata().schema_descr().root_schema().get_fields()
    }
}

fn read_footer(file: &mut File, path: &Path, length: u64) -> Result<Vec<u8>, DataError> {
    let damaged = |what: &str| Err(DataError::damaged(path, what));
    if length < 4 + TAIL {
        return damaged("it is too short for a Parquet file");
    }
    let mut tail = [0; TAIL as usize];
    file.seek(SeekFrom::Start(length - TAIL))
        .and_then(|_| file.read_exact(&mut tail))
        .map_err(FileError::of("read", path))?;
    match &tail[4..] {
        b"PAR1" => {}
        b"PARE" => return damaged("its footer is encrypted"),
        _ => return damaged("it does not end like a Parquet file; it may be truncated"),
    }
    let size = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if size > length - TAIL {
        return damaged("its footer claims to be larger than the file");
    }
    if size > MAX_FOOTER {
        return damaged("its footer is larger than 64 MiB");
    }
    let mut footer = vec![0; size as usize];
    file.seek(SeekFrom::Start(length - TAIL - size))
        .and_then(|_| file.read_exact(&mut footer))
        .map_err(FileError::of("read", path))?;
    Ok(footer)
}

fn check_row_groups(metadata: &ParquetMetaData, length: u64) -> Result<(), ParquetError> {
    let error = |what: String| Err(ParquetError::General(what));
    let mut rows = 0i64;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        match rows.checked_add(group.num_rows()) {
            Some(sum) if group.num_rows() >= 0 => rows = sum,
            _ => return error(format!("row group {index} claims {} rows", group.num_rows())),
        }
        check_chunks(group, length)
            .or_else(|column| error(format!("row group {index}, column {column} lies outside the file")))?;
    }
    let stated = metadata.file_metadata().num_rows();
    if rows != stated {
        return error(format!("its footer claims {stated} rows, its row groups hold {rows}"));
    }
    Ok(())
}

/// Every column chunk must lie inside the file; the error is the path of one that does not.
fn check_chunks(group: &RowGroupMetaData, length: u64) -> Result<(), String> {
    for chunk in group.columns() {
        let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
        let inside = start >= 0
            && chunk.data_page_offset() >= 0
            && chunk.compressed_size() >= 0
            && chunk.num_values() >= 0
            && start.checked_add(chunk.compressed_size()).is_some_and(|end| end.unsigned_abs() <= length);
        if !inside || chunk.file_path().is_some() {
            return Err(chunk.column_path().string());
        }
    }
    Ok(())
}
