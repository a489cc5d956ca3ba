//! Lengths inside DELTA encoded pages, checked before the Parquet library allocates for them.
//!
//! Source: apache/parquet-format, Encodings.md, "Delta Encoding" and what builds on it.

use super::thrift::Compact;

/// What a block of DELTA_BINARY_PACKED numbers is before its numbers are looked at.
struct Header {
    mini_blocks: usize,
    per_mini_block: u64,
    values: u64,
    first: i64,
    bytes: usize,
}

/// Reads a header that must announce at most `limit` values.
fn header(bytes: &[u8], limit: u64) -> Option<Header> {
    let mut reader = Compact::new(bytes);
    let block_size = reader.varint()?;
    let mini_blocks = reader.varint()?;
    let values = reader.varint()?;
    let first = reader.integer()?;
    if mini_blocks == 0 || values > limit || block_size > 1 << 30 || mini_blocks > block_size {
        return None;
    }
    let per_mini_block = (block_size / mini_blocks).max(1);
    let mini_blocks = usize::try_from(mini_blocks).ok()?;
    Some(Header { mini_blocks, per_mini_block, values, first, bytes: reader.position() })
}

/// Walks the mini blocks behind a header: `each` gets the block's smallest difference, the bits of a value, and the
/// bytes of the mini block with how many values it stands for. Returns how many bytes all of it takes.
fn walk(bytes: &[u8], header: &Header, mut each: impl FnMut(i64, u8, &[u8], u64)) -> Option<usize> {
    let mut at = header.bytes;
    let mut left = header.values.saturating_sub(1);
    while left > 0 {
        let mut block = Compact::new(bytes.get(at..)?);
        let smallest = block.integer()?;
        at += block.position();
        let widths = bytes.get(at..at.checked_add(header.mini_blocks)?)?;
        at += widths.len();
        for width in widths {
            if left == 0 {
                break;
            }
            let size = u64::from(*width).checked_mul(header.per_mini_block)? / 8;
            let end = at.checked_add(usize::try_from(size).ok()?)?;
            let values = left.min(header.per_mini_block);
            each(smallest, *width, bytes.get(at.min(bytes.len())..end.min(bytes.len()))?, values);
            at = end;
            left -= values;
        }
    }
    Some(at.min(bytes.len()))
}

/// Checks a block of DELTA_BINARY_PACKED numbers that must hold at most `limit` values;
/// returns how many bytes it takes, or `None` where it does not fit its bytes or the limit.
pub(crate) fn packed_length(bytes: &[u8], limit: u64) -> Option<usize> {
    walk(bytes, &header(bytes, limit)?, |_, _, _, _| ())
}

/// The sum of a block of lengths, as the library reads them: 32 bits, wrapping. `None` as in [`packed_length`], and
/// where a length is below zero.
pub(crate) fn packed_sum(bytes: &[u8], limit: u64) -> Option<u64> {
    let header = header(bytes, limit)?;
    if header.values == 0 {
        return Some(0);
    }
    let mut value = header.first as i32;
    let mut sum = u64::try_from(value).ok();
    walk(bytes, &header, |smallest, width, packed, values| {
        for index in 0..values {
            let difference = bits(packed, index * u64::from(width), width);
            value = value.wrapping_add(smallest as i32).wrapping_add(difference as i32);
            sum = sum.and_then(|sum| sum.checked_add(u64::try_from(value).ok()?));
        }
    })?;
    sum
}

/// `width` bits from bit `start` on, the lowest first; what lies beyond the bytes is zero.
fn bits(bytes: &[u8], start: u64, width: u8) -> u64 {
    (0..u64::from(width.min(64))).fold(0, |number, bit| {
        let at = start + bit;
        let byte = usize::try_from(at / 8).ok().and_then(|at| bytes.get(at)).copied().unwrap_or(0);
        number | (u64::from(byte >> (at % 8) & 1) << bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_pages_values_is_refused() {
        // block size 128, 4 mini blocks, 1 value, first value 0
        assert_eq!(packed_length(&[0x80, 0x01, 0x04, 0x01, 0x00], 10), Some(5));
        // the same with 2^35 values
        assert_eq!(packed_length(&[0x80, 0x01, 0x04, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00], 10), None);
        assert_eq!(packed_length(&[], 10), None);
    }

    #[test]
    fn lengths_are_added_up_as_the_specification_packs_them() {
        // 5 values 7 5 3 1 2: first 7, differences -2 -2 -2 1, smallest -2, so 0 0 0 3 in two bits each
        let mut block = vec![0x80, 0x01, 0x04, 0x05, 0x0e, 0x03, 0x02, 0x00, 0x00, 0x00, 0b1100_0000];
        block.extend([0; 7]);
        assert_eq!(packed_length(&block, 10), Some(block.len()));
        assert_eq!(packed_sum(&block, 10), Some(18));
        // first value below zero
        assert_eq!(packed_sum(&[0x80, 0x01, 0x04, 0x01, 0x01], 10), None);
    }
}
