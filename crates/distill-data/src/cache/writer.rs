//! Rows on their way into a cache: a few thousand at a time as an Arrow record batch, or all into memory.

use std::path::{Path, PathBuf};

use arrow2::array::{Array, ListArray, PrimitiveArray};
use arrow2::bitmap::Bitmap;
use arrow2::chunk::Chunk;
use arrow2::datatypes::{DataType, Field, Schema};
use arrow2::io::ipc::write::{FileWriter, WriteOptions};
use arrow2::offset::OffsetsBuffer;
use arrow2::types::NativeType;
use distill_core::atomic::{FileError, HashedFile, Written};

use super::rows::{Example, Lists, Rows};
use super::sidecar::Sidecar;
use super::{CACHE_FORMAT, CacheError};

/// Rows of one record batch, and values after which a batch is written earlier: what bounds the memory.
pub(super) const CHUNK_ROWS: usize = 4096;
const CHUNK_VALUES: usize = 1 << 21;

/// Where `build` pushes its rows.
pub struct CacheWriter {
    pending: Rows,
    file: Option<FileWriter<HashedFile>>,
    path: PathBuf,
    rows: u64,
    tokens: u64,
    left_out: u64,
}

impl CacheWriter {
    pub(super) fn memory() -> Self {
        CacheWriter {
            pending: Rows::default(),
            file: None,
            path: PathBuf::new(),
            rows: 0,
            tokens: 0,
            left_out: 0,
        }
    }

    pub(super) fn create(path: &Path) -> Result<Self, CacheError> {
        let file = HashedFile::create(path)?;
        let options = WriteOptions { compression: None };
        let file = FileWriter::try_new(file, schema(), None, options).map_err(|error| failed(path, error))?;
        Ok(CacheWriter { file: Some(file), path: path.to_owned(), ..CacheWriter::memory() })
    }

    /// Counts words that the rows have and the cache does not, so that whoever builds it can say how many.
    pub fn leave_out(&mut self, words: u64) {
        self.left_out += words;
    }

    /// How many words were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Appends a row. Type ids that are all zero are stored as absent.
    ///
    /// # Errors
    /// [`CacheError::Row`] for a row without tokens, with type ids of another length, or with positions that do not rise
    /// inside it or have another number of tags or logits;
    /// [`CacheError::File`] where the file cannot be written.
    pub fn push(&mut self, example: Example<'_>) -> Result<(), CacheError> {
        self.pending.push(&example)?;
        self.rows += 1;
        self.tokens += example.input_ids.len() as u64;
        let Rows { input_ids, logits, targets, tags, .. } = &self.pending;
        let values =
            input_ids.values.len() + logits.values.len() + targets.values.len() + 2 * tags.values.len();
        if self.file.is_some() && (self.pending.len() == CHUNK_ROWS || values >= CHUNK_VALUES) {
            self.flush()?;
        }
        Ok(())
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn into_rows(self) -> Rows {
        self.pending
    }

    /// Writes what is pending, makes the file visible and says what it holds.
    pub(super) fn finish(mut self, key: &str, about: &str) -> Result<Sidecar, CacheError> {
        self.flush()?;
        let Some(mut file) = self.file else {
            return Err(CacheError::Arrow("a cache in memory has no file".to_owned()));
        };
        file.finish().map_err(|error| failed(&self.path, error))?;
        let Written { bytes, blake3 } = file.into_inner().commit()?;
        Ok(Sidecar {
            format: CACHE_FORMAT,
            key: key.to_owned(),
            about: about.to_owned(),
            rows: self.rows,
            tokens: self.tokens,
            bytes,
            blake3,
        })
    }

    fn flush(&mut self) -> Result<(), CacheError> {
        if let Some(file) = &mut self.file
            && self.pending.len() > 0
        {
            let chunk = chunk(&self.pending).map_err(|error| CacheError::Arrow(error.to_string()))?;
            file.write(&chunk, None).map_err(|error| failed(&self.path, error))?;
            self.pending.clear();
        }
        Ok(())
    }
}

pub(super) fn list_of(item: DataType) -> DataType {
    DataType::List(Box::new(Field::new("item", item, false)))
}

/// The columns, in the order in which `map` reads them.
pub(super) fn schema() -> Schema {
    Schema::from(vec![
        Field::new("input_ids", list_of(DataType::UInt32), false),
        Field::new("token_type_ids", list_of(DataType::UInt8), true),
        Field::new("label", DataType::Int32, true),
        Field::new("targets", list_of(DataType::Float32), false),
        Field::new("logits", list_of(DataType::Float32), false),
        Field::new("positions", list_of(DataType::UInt32), false),
        Field::new("tags", list_of(DataType::Int32), false),
        Field::new("first_word", DataType::UInt32, false),
        Field::new("id_hash", DataType::UInt64, false),
        Field::new("partner_hash", DataType::UInt64, true),
        Field::new("row", DataType::UInt64, false),
    ])
}

fn chunk(rows: &Rows) -> Result<Chunk<Box<dyn Array>>, arrow2::error::Error> {
    let typed: Vec<bool> = rows.token_type_ids.lengths().map(|length| length > 0).collect();
    let columns: Vec<Box<dyn Array>> = vec![
        list(&rows.input_ids, DataType::UInt32, None)?,
        list(&rows.token_type_ids, DataType::UInt8, Some(Bitmap::from(typed)))?,
        PrimitiveArray::<i32>::from(&rows.labels).boxed(),
        list(&rows.targets, DataType::Float32, None)?,
        list(&rows.logits, DataType::Float32, None)?,
        list(&rows.positions, DataType::UInt32, None)?,
        list(&rows.tags, DataType::Int32, None)?,
        PrimitiveArray::from_slice(&rows.first_words).boxed(),
        PrimitiveArray::from_slice(&rows.id_hashes).boxed(),
        PrimitiveArray::<u64>::from(&rows.partner_hashes).boxed(),
        PrimitiveArray::from_slice(&rows.rows).boxed(),
    ];
    Chunk::try_new(columns)
}

fn list<T: NativeType>(
    lists: &Lists<T>,
    item: DataType,
    validity: Option<Bitmap>,
) -> Result<Box<dyn Array>, arrow2::error::Error> {
    let mut end = 0;
    let ends = lists.lengths().map(|length| {
        end += length;
        end as i32
    });
    let offsets: OffsetsBuffer<i32> = std::iter::once(0).chain(ends).collect::<Vec<_>>().try_into()?;
    let values = PrimitiveArray::try_new(item.clone(), lists.values.clone().into(), None)?.boxed();
    Ok(ListArray::<i32>::try_new(list_of(item), offsets, values, validity)?.boxed())
}

fn failed(path: &Path, error: arrow2::error::Error) -> CacheError {
    match error {
        arrow2::error::Error::Io(source) => FileError::new("write", path, source).into(),
        other => CacheError::Arrow(other.to_string()),
    }
}
