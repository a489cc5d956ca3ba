//! Checks of what a Parquet file claims about itself, before the library allocates for the claims.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use parquet::basic::{Compression, Encoding, LogicalType, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::delta;
use super::page_header::PageHeader;

/// The largest page, uncompressed: one of each column is held at a time, and a text of 64 MiB must fit. Writers
/// begin with a dictionary, and look at its size only once in 1,024 values or so, as they do with data pages.
const MAX_PAGE_BYTES: i64 = 96 << 20;
/// The most values of a dictionary: they are all held as objects of 32 bytes.
const MAX_DICTIONARY_VALUES: i64 = 1 << 20;
/// The most values of one page, and of all pages of a column that one batch of rows may draw on.
const MAX_BATCH_VALUES: u64 = 32 << 20;
/// The same of lists of names, ids or decimals, whose values are held as objects.
const MAX_LIST_VALUES: u64 = 2 << 20;
/// The most bytes that one batch of rows may draw, decompressed from compression, prefixes and dictionaries.
pub(super) const MAX_BATCH_BYTES: u64 = 256 << 20;

fn error(what: impl Into<String>) -> ParquetError {
    ParquetError::General(what.into())
}

/// What one batch of rows has drawn from the pages of all its columns.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    values: AtomicU64,
    bytes: AtomicU64,
}

impl Drawn {
    /// Begins another column of the same batch.
    pub fn next_column(&self) {
        self.values.store(0, Ordering::Relaxed);
    }

    /// Begins another batch.
    pub fn next_batch(&self) {
        self.next_column();
        self.bytes.store(0, Ordering::Relaxed);
    }

    fn add_values(&self, values: u64, most: u64) -> Result<()> {
        match self.values.fetch_add(values, Ordering::Relaxed) {
            before if before > most => Err(error("a row holds more values than any row should")),
            _ => Ok(()),
        }
    }

    /// The page that brings the sum over the limit is still drawn: most of it may belong to later rows.
    fn add_bytes(&self, bytes: u64) -> Result<()> {
        match self.bytes.fetch_add(bytes, Ordering::Relaxed) {
            before if before > MAX_BATCH_BYTES => Err(too_much_text()),
            _ => Ok(()),
        }
    }
}

/// The error of neighbouring rows that do not fit into memory together.
pub(super) fn too_much_text() -> ParquetError {
    error(format!("neighbouring rows hold more than {} MiB of text", MAX_BATCH_BYTES >> 20))
}

/// The library's page reader behind a check of each page header.
pub(crate) struct GuardedPages {
    inner: SerializedPageReader<File>,
    file: Arc<File>,
    chunk: ColumnChunkMetaData,
    at: u64,
    end: u64,
    drawn: Arc<Drawn>,
}

impl GuardedPages {
    /// Pages of `chunk`, whose byte range has been checked to lie inside the file.
    pub(crate) fn new(
        file: Arc<File>,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        drawn: Arc<Drawn>,
    ) -> Result<Self> {
        // Older forms of LZ4 do not say how far they decompress.
        let properties = ReaderProperties::builder().set_backward_compatible_lz4(false).build();
        let properties = Arc::new(properties);
        let inner =
            SerializedPageReader::new_with_properties(Arc::clone(&file), chunk, rows, None, properties)?;
        let (start, length) = chunk.byte_range();
        Ok(GuardedPages { inner, file, chunk: chunk.clone(), at: start, end: start + length, drawn })
    }

    /// Checks the header of the page that the library would read next, and passes over that page.
    fn check_next(&mut self) -> Result<()> {
        while self.at < self.end.min(self.file.len()) {
            let header = self.read_header()?;
            self.check(&header)?;
            self.check_gzip(&header)?;
            self.at += header.bytes as u64 + header.compressed as u64;
            if header.kind != PageHeader::INDEX {
                break;
            }
        }
        Ok(())
    }

    /// Headers are small unless they carry long minima and maxima: read more only when needed.
    fn read_header(&self) -> Result<PageHeader> {
        let left = self.end - self.at;
        for size in [1 << 10, 1 << 16, 1 << 24] {
            let bytes = self.file.get_bytes(self.at, size.min(left) as usize)?;
            if let Some(header) = PageHeader::parse(&bytes) {
                return Ok(header);
            }
            if size >= left {
                break;
            }
        }
        Err(error(format!("the page header at byte {} cannot be read", self.at)))
    }

    fn most_values(&self) -> u64 {
        let column = self.chunk.column_descr();
        let is_half = matches!(column.logical_type_ref(), Some(LogicalType::Float16));
        let holds_objects = !is_half && !matches!(self.chunk.column_type(), Type::FLOAT | Type::DOUBLE);
        let is_list = column.max_rep_level() > 0;
        if is_list && holds_objects { MAX_LIST_VALUES } else { MAX_BATCH_VALUES }
    }

    /// What a value takes at least, uncompressed and by itself.
    fn least_bytes(&self) -> i64 {
        match self.chunk.column_type() {
            Type::FIXED_LEN_BYTE_ARRAY => i64::from(self.chunk.column_descr().type_length()).max(1),
            Type::INT64 | Type::DOUBLE => 8,
            Type::INT96 => 12,
            Type::BOOLEAN => 1,
            Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        }
    }

    fn check(&mut self, header: &PageHeader) -> Result<()> {
        let is_dictionary = header.kind == PageHeader::DICTIONARY;
        let values = if is_dictionary { MAX_DICTIONARY_VALUES } else { self.most_values() as i64 };
        let left = (self.end - self.at).saturating_sub(header.bytes as u64);
        let fits = (0..=MAX_PAGE_BYTES).contains(&header.uncompressed)
            && (0..=values).contains(&header.values)
            && u64::try_from(header.compressed).is_ok_and(|size| size <= left);
        let crowded = is_dictionary && header.values > header.uncompressed / self.least_bytes();
        if !fits || crowded {
            return Err(error(format!(
                "the page at byte {} claims {} bytes, {} compressed, and {} values",
                self.at, header.uncompressed, header.compressed, header.values
            )));
        }
        if !is_dictionary {
            self.drawn.add_values(header.values.unsigned_abs(), self.most_values())?;
            self.drawn.add_bytes(header.uncompressed.unsigned_abs())?;
        }
        Ok(())
    }

    /// The library decompresses a gzip page to its end, whatever size the header claims: this looks how far that goes.
    fn check_gzip(&self, header: &PageHeader) -> Result<()> {
        if !matches!(self.chunk.compression(), Compression::GZIP(_)) || header.plain {
            return Ok(());
        }
        let wrong = || error(format!("the page at byte {} has levels that do not fit it", self.at));
        let levels = usize::try_from(header.levels).map_err(|_| wrong())?;
        let start = self.at + header.bytes as u64;
        let page = self.file.get_bytes(start, header.compressed.unsigned_abs() as usize)?;
        let claimed = header.uncompressed.unsigned_abs();
        let mut decompressed = MultiGzDecoder::new(page.get(levels..).ok_or_else(wrong)?).take(claimed + 1);
        match std::io::copy(&mut decompressed, &mut std::io::sink()) {
            Ok(size) if size > claimed => Err(error(format!(
                "the gzip page at byte {} decompresses to more than the {claimed} bytes that it claims",
                self.at
            ))),
            // The library meets the same error, and says it.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Pages whose encoding states lengths of its own are looked into.
    fn check_encoding(&self, page: &Page) -> Result<()> {
        let encoding = page.encoding();
        let stated = match (encoding, self.chunk.column_type()) {
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, _) => 1,
            (Encoding::DELTA_BYTE_ARRAY, _) => 2,
            (Encoding::DELTA_BINARY_PACKED, Type::INT32 | Type::INT64) => 0,
            (Encoding::PLAIN | Encoding::RLE | Encoding::BYTE_STREAM_SPLIT, _) => 0,
            (Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY, _) => 0,
            _ => return Err(error(format!("encoding {encoding} is not supported here"))),
        };
        if stated == 0 || !page.is_data_page() {
            return Ok(());
        }
        let values = u64::from(page.num_values());
        let misfit = || error(format!("a page in encoding {encoding} states lengths that do not fit it"));
        let mut bytes = self.values_of(page).ok_or_else(misfit)?;
        if stated == 2 {
            // Each value begins as the one before: a few bytes can stand for many long texts.
            self.drawn.add_bytes(delta::packed_sum(bytes, values).ok_or_else(misfit)?)?;
            self.drawn.add_bytes(0)?;
        }
        for _ in 0..stated {
            let length = delta::packed_length(bytes, values).ok_or_else(misfit)?;
            bytes = bytes.get(length..).ok_or_else(misfit)?;
        }
        Ok(())
    }

    /// A data page's bytes after its levels.
    fn values_of<'a>(&self, page: &'a Page) -> Option<&'a [u8]> {
        match page {
            Page::DataPageV2 { buf, def_levels_byte_len, rep_levels_byte_len, .. } => {
                buf.get(def_levels_byte_len.checked_add(*rep_levels_byte_len)? as usize..)
            }
            Page::DataPage { buf, .. } => {
                let column = self.chunk.column_descr();
                let mut values = &buf[..];
                for level in [column.max_rep_level(), column.max_def_level()] {
                    if level > 0 {
                        let length = u32::from_le_bytes(values.get(..4)?.try_into().ok()?);
                        values = values.get(4..)?.get(length as usize..)?;
                    }
                }
                Some(values)
            }
            Page::DictionaryPage { .. } => None,
        }
    }
}

impl Iterator for GuardedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for GuardedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.check_next()?;
        let page = self.inner.get_next_page()?;
        if let Some(page) = &page {
            self.check_encoding(page)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.check_next()?;
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}
