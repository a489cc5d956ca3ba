//! What of a page header matters before the library reads the page.
//!
//! Source: apache/parquet-format, parquet.thrift, `PageHeader`.

use super::thrift::{Compact, kind};

/// Sizes and counts that a page header claims; what it does not say is zero.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PageHeader {
    pub kind: i64,
    pub uncompressed: i64,
    pub compressed: i64,
    pub values: i64,
    /// Bytes of the levels at the start of a page of version 2, which are never compressed.
    pub levels: i64,
    /// A page of version 2 whose values are not compressed either.
    pub plain: bool,
    /// Bytes of the header itself.
    pub bytes: usize,
}

impl PageHeader {
    pub const DICTIONARY: i64 = 2;
    pub const INDEX: i64 = 1;

    /// Reads the header that the bytes begin with; `None` where they end before it does.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Compact::new(bytes);
        let mut header = PageHeader::default();
        let mut last = 0;
        while let Some((id, field)) = reader.field(&mut last)? {
            match (id, field) {
                (1, 5) => header.kind = reader.integer()?,
                (2, 5) => header.uncompressed = reader.integer()?,
                (3, 5) => header.compressed = reader.integer()?,
                (5 | 7, kind::STRUCT) => header.data_page(&mut reader, false)?,
                (8, kind::STRUCT) => header.data_page(&mut reader, true)?,
                _ => reader.skip(field)?,
            }
        }
        header.bytes = reader.position();
        Some(header)
    }

    /// The header of one kind of page: field 1 is `num_values` in all of them.
    fn data_page(&mut self, reader: &mut Compact<'_>, version_2: bool) -> Option<()> {
        let mut last = 0;
        while let Some((id, field)) = reader.field(&mut last)? {
            match (id, field) {
                (1, 5) => self.values = reader.integer()?,
                (5 | 6, 5) if version_2 => self.levels = self.levels.checked_add(reader.integer()?)?,
                (7, 2) if version_2 => self.plain = true,
                _ => reader.skip(field)?,
            }
        }
        Some(())
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
        let expected =
            PageHeader { uncompressed: 10, compressed: 8, values: 3, bytes: 15, ..PageHeader::default() };
        assert_eq!(PageHeader::parse(&bytes), Some(expected));
        assert_eq!(PageHeader::parse(&bytes[..9]), None);
    }
}
