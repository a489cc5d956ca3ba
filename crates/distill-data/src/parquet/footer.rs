//! Checks of a footer's bytes before the Parquet library makes objects of them.

use parquet::errors::{ParquetError, Result};

use super::thrift::{Compact, kind};

/// The deepest schema; a deeper one could exhaust the stack of whoever walks it.
const MAX_SCHEMA_DEPTH: usize = 64;
/// The most elements of a schema, and the most column chunks of all row groups together: each takes the library some
/// hundred bytes, however few it has in the file.
const MAX_ELEMENTS: u64 = 1 << 16;
const MAX_CHUNKS: u64 = 1 << 20;

fn error(what: impl Into<String>) -> ParquetError {
    ParquetError::General(what.into())
}

/// Checks the number and depth of a footer's parts.
pub(super) fn check_footer(footer: &[u8]) -> Result<()> {
    let broken = || error("its footer cannot be read");
    let mut reader = Compact::new(footer);
    let mut last = 0;
    while let Some((id, field)) = reader.field(&mut last).ok_or_else(broken)? {
        match (id, field) {
            (2, kind::LIST) => check_schema(&mut reader)?,
            (4, kind::LIST) => check_row_groups(&mut reader)?,
            _ => reader.skip(field).ok_or_else(broken)?,
        }
    }
    Ok(())
}

/// The schema's depth, and that no group claims more children than there are elements.
fn check_schema(reader: &mut Compact<'_>) -> Result<()> {
    let broken = || error("its schema cannot be read");
    let (element, length) = reader.list().ok_or_else(broken)?;
    if element != kind::STRUCT {
        return Err(broken());
    }
    if length > MAX_ELEMENTS {
        return Err(error(format!("its schema claims {length} columns and groups, more than {MAX_ELEMENTS}")));
    }
    // Children still to come at each depth that is open.
    let mut open: Vec<u64> = Vec::new();
    for _ in 0..length {
        let children = schema_element(reader).ok_or_else(broken)?;
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

/// How many row groups there are, and column chunks in all of them.
fn check_row_groups(reader: &mut Compact<'_>) -> Result<()> {
    let broken = || error("its row groups cannot be read");
    let (element, length) = reader.list().ok_or_else(broken)?;
    if element != kind::STRUCT {
        return Err(broken());
    }
    let mut chunks = 0;
    for number in 0..length {
        // A row group counts as a chunk, that there cannot be too many empty ones.
        chunks += 1 + row_group(reader).ok_or_else(broken)?;
        if chunks > MAX_CHUNKS {
            let what =
                format!("it claims {length} row groups; {number} of them have {MAX_CHUNKS} column chunks");
            return Err(error(what));
        }
    }
    Ok(())
}

/// Passes over one `RowGroup`; returns how many column chunks it has.
fn row_group(reader: &mut Compact<'_>) -> Option<u64> {
    let mut last = 0;
    let mut chunks = 0u64;
    while let Some((id, field)) = reader.field(&mut last)? {
        if (id, field) != (1, kind::LIST) {
            reader.skip(field)?;
            continue;
        }
        let (element, length) = reader.list()?;
        for _ in 0..length {
            reader.skip_element(element)?;
        }
        chunks = chunks.saturating_add(length);
    }
    Some(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_deeper_than_any_real_one_is_refused() {
        // field 2: a list of 200 groups of one child each
        let mut footer = vec![0x29, 0xfc, 0xc8, 0x01];
        for _ in 0..200 {
            footer.extend([0x55, 0x02, 0x00]);
        }
        footer.push(0);
        assert!(check_footer(&footer).unwrap_err().to_string().contains("nested"));
        assert!(check_footer(&footer[..20]).is_err());
    }
}
