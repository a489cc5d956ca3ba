//! Lengths inside DELTA encoded pages, checked before the Parquet library allocates for them.
//!
//! Source: apache/parquet-format, Encodings.md, "Delta Encoding" and what builds on it.

use super::thrift::Compact;

/// Checks a block of DELTA_BINARY_PACKED numbers that must hold at most `limit` values;
/// returns how many bytes it takes, or `None` where it does not fit its bytes or the limit.
pub(crate) fn packed_length(bytes: &[u8], limit: u64) -> Option<usize> {
    let mut header = Compact::new(bytes);
    let block_size = header.varint()?;
    let mini_blocks = header.varint()?;
    let values = header.varint()?;
    header.integer()?;
    if mini_blocks == 0 || values > limit || block_size > 1 << 30 || mini_blocks > block_size {
        return None;
    }
    let per_mini_block = block_size / mini_blocks;
    let mut at = header.position();
    let mut left = values.saturating_sub(1);
    while left > 0 {
        let mut block = Compact::new(bytes.get(at..)?);
        block.integer()?;
        at += block.position();
        let widths = bytes.get(at..at.checked_add(usize::try_from(mini_blocks).ok()?)?)?;
        at += widths.len();
        for width in widths {
            if left == 0 {
                break;
            }
            let size = u64::from(*width).checked_mul(per_mini_block)? / 8;
            at = at.checked_add(usize::try_from(size).ok()?)?;
            left = left.saturating_sub(per_mini_block.max(1));
        }
    }
    Some(at.min(bytes.len()))
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
}
