//! Just enough of Thrift's compact protocol to look at Parquet's own structures before the library
//! does: numbers, field headers, and skipping all else. Every method gives `None` where the bytes end
//! too early or make no sense.
//!
//! Source: thrift/doc/specs/thrift-compact-protocol.md of apache/thrift.

/// Deeper nesting than any Parquet structure has.
const MAX_DEPTH: u32 = 32;

/// Field and element types as the compact protocol numbers them.
pub(crate) mod kind {
    pub(crate) const LIST: u8 = 9;
    pub(crate) const STRUCT: u8 = 12;
}

/// A position in bytes of the compact protocol.
pub(crate) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Compact<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Compact { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// An unsigned LEB128 number.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A signed number, zigzag encoded.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let raw = self.varint()?;
        Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// The next field of a struct as (id, type); `Some(None)` at its end. `last` starts at zero.
    pub(crate) fn field(&mut self, last: &mut i64) -> Option<Option<(i64, u8)>> {
        let head = self.byte()?;
        let kind = head & 0x0f;
        if kind == 0 {
            return Some(None);
        }
        *last = match head >> 4 {
            0 => self.integer()?,
            delta => last.checked_add(i64::from(delta))?,
        };
        Some(Some((*last, kind)))
    }

    /// A list's element type and length.
    pub(crate) fn list(&mut self) -> Option<(u8, u64)> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        Some((head & 0x0f, length))
    }

    /// Passes over a field of type `kind`.
    pub(crate) fn skip(&mut self, kind: u8) -> Option<()> {
        self.skip_nested(kind, MAX_DEPTH, false)
    }

    /// Passes over an element of a list of type `kind`.
    pub(crate) fn skip_element(&mut self, kind: u8) -> Option<()> {
        self.skip_nested(kind, MAX_DEPTH, true)
    }

    fn skip_nested(&mut self, kind: u8, depth: u32, element: bool) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            // A boolean field's value is its type; as an element it takes a byte.
            1 | 2 => element.then(|| self.byte()).map_or(Some(()), |byte| byte.map(drop)),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.advance(8),
            8 => self.varint().and_then(|length| self.advance(length)),
            9 | 10 => {
                let (kind, length) = self.list()?;
                (0..length).try_for_each(|_| self.skip_nested(kind, depth, true))
            }
            11 => {
                let length = self.varint()?;
                let kinds = if length == 0 { 0 } else { self.byte()? };
                (0..length).try_for_each(|_| {
                    self.skip_nested(kinds >> 4, depth, true)?;
                    self.skip_nested(kinds & 0x0f, depth, true)
                })
            }
            12 => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_nested(kind, depth, false)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    fn advance(&mut self, bytes: u64) -> Option<()> {
        let end = self.at.checked_add(usize::try_from(bytes).ok()?)?;
        self.at = (end <= self.bytes.len()).then_some(end)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_the_specification_writes_them() {
        assert_eq!(Compact::new(&[0xac, 0x02]).varint(), Some(300));
        assert_eq!(Compact::new(&[0x01]).integer(), Some(-1));
        assert_eq!(Compact::new(&[0x80]).varint(), None);
        assert_eq!(Compact::new(&[0xff; 11]).varint(), None);
    }

    #[test]
    fn nesting_without_end_is_refused_instead_of_exhausting_the_stack() {
        let nested = vec![0x1c; 1_000_000];
        assert_eq!(Compact::new(&nested).skip(kind::STRUCT), None);
    }
}
