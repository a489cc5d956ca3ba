//! Lists of floating-point numbers: `list<float>`, `list<float16>`, `list<double>`, in the standard
//! layout of three levels and in the older ones of two and one.
//!
//! Source: apache/parquet-format, LogicalTypes.md, "Lists".

use half::f16;
use parquet::basic::{Repetition, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::Type;

/// What the definition levels of a list's only leaf mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ListLevels {
    /// From here on there is an element.
    element: i16,
    /// Here the element has a value.
    value: i16,
    /// Below this the whole list is null.
    list: i16,
}

/// The levels of a top-level field that is a list of numbers; `None` where it is anything else.
pub(super) fn list_levels(field: &Type) -> Option<ListLevels> {
    let mut node = field;
    let (mut level, mut repeated, mut list) = (0, None, 0);
    loop {
        match node.get_basic_info().has_repetition().then(|| node.get_basic_info().repetition())? {
            Repetition::REQUIRED => {}
            Repetition::OPTIONAL => level += 1,
            Repetition::REPEATED if repeated.is_some() => return None,
            Repetition::REPEATED => {
                list = level;
                level += 1;
                repeated = Some(level);
            }
        }
        match node {
            Type::GroupType { fields, .. } if fields.len() == 1 => node = &fields[0],
            Type::GroupType { .. } => return None,
            Type::PrimitiveType { physical_type, type_length, .. } => {
                let number = matches!(
                    (physical_type, type_length),
                    (Physical::FLOAT | Physical::DOUBLE, _) | (Physical::FIXED_LEN_BYTE_ARRAY, 2)
                );
                let element = repeated.filter(|_| number)?;
                return Some(ListLevels { element, value: level, list });
            }
        }
    }
}

/// One batch of lists: for each row the numbers, `None` for a null list. A null element is NaN, which
/// no reader of logits accepts.
pub(super) fn read(
    reader: &mut ColumnReader,
    levels: ListLevels,
    rows: usize,
) -> Result<Vec<Option<Vec<f32>>>> {
    match reader {
        ColumnReader::FloatColumnReader(reader) => read_as(reader, levels, rows, |value| *value),
        ColumnReader::DoubleColumnReader(reader) => read_as(reader, levels, rows, |value| *value as f32),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            read_as(reader, levels, rows, |value| match value.data() {
                [low, high] => f16::from_le_bytes([*low, *high]).to_f32(),
                _ => f32::NAN,
            })
        }
        _ => Err(ParquetError::General("not a list of numbers".to_owned())),
    }
}

fn read_as<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    levels: ListLevels,
    rows: usize,
    number: impl Fn(&T::T) -> f32,
) -> Result<Vec<Option<Vec<f32>>>> {
    let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
    reader.read_records(rows, Some(&mut definition), Some(&mut repetition), &mut values)?;
    let mut values = values.iter();
    let mut lists: Vec<Option<Vec<f32>>> = Vec::with_capacity(rows);
    for (definition, repetition) in definition.iter().zip(&repetition) {
        if *repetition == 0 {
            lists.push((*definition >= levels.list).then(Vec::new));
        }
        if *definition < levels.element {
            continue;
        }
        let element = if *definition == levels.value { values.next().map(&number) } else { Some(f32::NAN) };
        match (lists.last_mut(), element) {
            (Some(Some(list)), Some(element)) => list.push(element),
            _ => return Err(ParquetError::General("a list's levels and values disagree".to_owned())),
        }
    }
    Ok(lists)
}
