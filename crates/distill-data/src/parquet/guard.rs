//! Checks of what a Parquet file claims about itself, before the library allocates for the claims.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

use super::delta;
use super::thrift::{Compact, kind};

/// The largest page, uncompressed: several of these at once still leave a small machine alive.
const MAX_PAGE_BYTES: i64 = 256 << 20;
/// The largest dictionary page: its values are all held as objects of 32 bytes.
const MAX_DICTIONARY_BYTES: i64 = 64 << 20;
/// The most values of one page, and of all pages that one batch of rows may draw on.
const MAX_BATCH_VALUES: u64 = 128 << 20;
/// The deepest schema; a deeper one could exhaust the stack of whoever walks it.
const MAX_SCHEMA_DEPTH: usize = 64;

fn error(what: impl Into<String>) -> ParquetError {
    ParquetError::General(what.into())
}

/// Checks the schema inside a footer's bytes: its depth, and that no group claims more children than
/// there are elements.
pub(crate) fn check_schema(footer: &[u8]) -> Result<()> {
    let broken = || error("its footer cannot be read");
    let mut reader = Compact::new(footer);
    let mut last = 0;
    while let Some((id, field)) = reader.field(&mut last).ok_or_else(broken)? {
        if (id, field) != (2, kind::LIST) {
            reader.skip(field).ok_or_else(broken)?;
            continue;
        }
        let (element, length) = reader.list().ok_or_else(broken)?;
        if element != kind::STRUCT || length > footer.len() as u64 {
            return Err(broken());
        }
        // Children still to come at each depth that is open.
        let mut open: Vec<u64> = Vec::new();
        for _ in 0..length {
            let children = schema_element(&mut reader).ok_or_else(broken)?;
            if children > length || open.len() >= MAX_SCHEMA_DEPTH {
                return Err(error("its schema is nested too deeply or claims too many columns"));
            }
            if let Some(left) = open.last_mut() {
                *left = left.saturating_sub(1);
            }
            if children > 0 {
                open.push(children);
            }
            while open.last() == Some(&0) {
                open.pop();
            }
        }
    }
    Ok(())
}

/// Passes over one `SchemaElement`; returns its `num_children`.
fn schema_element(reader: &mut Compact<'_>) -> Option<u64> {
    let mut last = 0;
    let mut children = 0;
    while let Some((id, field)) = reader.field(&mut last)? {
        match id {
            5 => children = u64::try_from(reader.integer()?).ok()?,
            _ => reader.skip(field)?,
        }
    }
    Some(children)
}

/// What of a page header matters here.
#[derive(Debug, Default, PartialEq)]
struct PageHeader {
    kind: i64,
    uncompressed: i64,
    compressed: i64,
    values: i64,
    bytes: usize,
}

fn page_header(bytes: &[u8]) -> Option<PageHeader> {
    let mut reader = Compact::new(bytes);
    let mut header = PageHeader::default();
    let mut last = 0;
    while let Some((id, field)) = reader.field(&mut last)? {
        match (id, field) {
            (1, 5) => header.kind = reader.integer()?,
            (2, 5) => header.uncompressed = reader.integer()?,
            (3, 5) => header.compressed = reader.integer()?,
            (5 | 7 | 8, kind::STRUCT) => header.values = first_integer(&mut reader)?,
            _ => reader.skip(field)?,
        }
    }
    header.bytes = reader.position();
    Some(header)
}

/// Passes over a struct; returns its field 1, `num_values` in every kind of page header.
fn first_integer(reader: &mut Compact<'_>) -> Option<i64> {
    let mut last = 0;
    let mut values = 0;
    while let Some((id, field)) = reader.field(&mut last)? {
        match (id, field) {
            (1, 5) => values = reader.integer()?,
            _ => reader.skip(field)?,
        }
    }
    Some(values)
}

/// The library's page reader behind a check of each page header.
pub(crate) struct GuardedPages {
    inner: SerializedPageReader<File>,
    file: Arc<File>,
    chunk: ColumnChunkMetaData,
    at: u64,
    end: u64,
    /// Values that this batch of rows has drawn; whoever reads sets it to zero between batches.
    drawn: Arc<AtomicU64>,
}

impl GuardedPages {
    /// Pages of `chunk`, whose byte range has been checked to lie inside the file.
    pub(crate) fn new(
        file: Arc<File>,
        chunk: &ColumnChunkMetaData,
        rows: usize,
        drawn: Arc<AtomicU64>,
    ) -> Result<Self> {
        let inner = SerializedPageReader::new(Arc::clone(&file), chunk, rows, None)?;
        let (start, length) = chunk.byte_range();
        Ok(GuardedPages { inner, file, chunk: chunk.clone(), at: start, end: start + length, drawn })
    }

    /// Checks the header of the page that the library would read next, and passes over that page.
    fn check_next(&mut self) -> Result<()> {
        while self.at < self.end.min(self.file.len()) {
            let header = self.read_header()?;
            self.check(&header)?;
            self.at += header.bytes as u64 + header.compressed as u64;
            const INDEX_PAGE: i64 = 1;
            if header.kind != INDEX_PAGE {
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
            if let Some(header) = page_header(&bytes) {
                return Ok(header);
            }
            if size >= left {
                break;
            }
        }
        Err(error(format!("the page header at byte {} cannot be read", self.at)))
    }

    fn check(&mut self, header: &PageHeader) -> Result<()> {
        const DICTIONARY_PAGE: i64 = 2;
        let largest = if header.kind == DICTIONARY_PAGE { MAX_DICTIONARY_BYTES } else { MAX_PAGE_BYTES };
        let left = (self.end - self.at).saturating_sub(header.bytes as u64);
        let size_fits = (0..=largest).contains(&header.uncompressed)
            && u64::try_from(header.compressed).is_ok_and(|size| size <= left);
        // A dictionary's values take at least two bytes each (float16).
        let values_fit = match header.kind {
            DICTIONARY_PAGE => (0..=header.uncompressed / 2).contains(&header.values),
            _ => (0..=MAX_BATCH_VALUES as i64).contains(&header.values),
        };
        if !size_fits || !values_fit {
            return Err(error(format!(
                "the page at byte {} claims {} bytes, {} compressed, and {} values",
                self.at, header.uncompressed, header.compressed, header.values
            )));
        }
        if header.kind != DICTIONARY_PAGE {
            let drawn = self.drawn.fetch_add(header.values as u64, Ordering::Relaxed);
            if drawn > MAX_BATCH_VALUES {
                return Err(error("a single row holds more values than any row should"));
            }
        }
        Ok(())
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
        let fits = self.values_of(page).and_then(|mut values| {
            for _ in 0..stated {
                let length = delta::packed_length(values, u64::from(page.num_values()))?;
                values = values.get(length..)?;
            }
            Some(())
        });
        fits.ok_or_else(|| error(format!("a page in encoding {encoding} states lengths that do not fit it")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_header_is_read_past_what_is_not_needed() {
        // type 0, uncompressed 10, compressed 8, crc, data_page_header { num_values 3, encoding 0 }
        let bytes =
            [0x15, 0x00, 0x15, 0x14, 0x15, 0x10, 0x15, 0x02, 0x1c, 0x15, 0x06, 0x15, 0x00, 0x00, 0x00, 0xff];
        let expected = PageHeader { kind: 0, uncompressed: 10, compressed: 8, values: 3, bytes: 15 };
        assert_eq!(page_header(&bytes), Some(expected));
        assert_eq!(page_header(&bytes[..9]), None);
    }

    #[test]
    fn a_schema_deeper_than_any_real_one_is_refused() {
        // field 2: a list of 200 groups of one child each
        let mut footer = vec![0x29, 0xfc, 0xc8, 0x01];
        for _ in 0..200 {
            footer.extend([0x55, 0x02, 0x00]);
        }
        footer.push(0);
        assert!(check_schema(&footer).unwrap_err().to_string().contains("nested"));
        assert!(check_schema(&footer[..20]).is_err());
    }
}
