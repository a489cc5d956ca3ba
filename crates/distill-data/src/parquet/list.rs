//! Lists: of floating-point numbers (`list<float>`, `list<float16>`, `list<double>`) and of other values, in the
//! standard layout of three levels and in the older ones of two and one.
//!
//! Source: apache/parquet-format, LogicalTypes.md, "Lists".

use half::f16;
use parquet::basic::Repetition;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::Type;

use super::meaning::Meaning;
use super::value::Value;

/// What the definition levels of a list's only leaf mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ListLevels {
    /// From here on there is an element.
    element: i16,
    /// Here the element has a value.
    value: i16,
    /// Below this the whole list is null.
    list: i16,
    /// Whether the elements are floating-point numbers.
    pub(super) numbers: bool,
}

/// The leaf below these fields, each inside the one before it, where it is in one list of plain values; `None` where it
/// is anything else.
pub(super) fn list_leaf<'a>(fields: &[&'a Type]) -> Option<&'a Type> {
    walk(fields).map(|(leaf, ..)| leaf)
}

/// The levels of such a leaf, whose values mean this.
pub(super) fn list_levels(fields: &[&Type], meaning: Meaning) -> Option<ListLevels> {
    let (_, value, element, list) = walk(fields)?;
    Some(ListLevels { element, value, list, numbers: meaning == Meaning::Float })
}

/// The leaf, its level, the level of an element and that of the list.
fn walk<'a>(fields: &[&'a Type]) -> Option<(&'a Type, i16, i16, i16)> {
    let mut rest = fields.iter().copied();
    let mut node = rest.next()?;
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
        node = match (rest.next(), node) {
            (Some(next), _) => next,
            (None, Type::GroupType { fields, .. }) if fields.len() == 1 => &fields[0],
            (None, Type::GroupType { .. }) => return None,
            (None, Type::PrimitiveType { .. }) => {
                return repeated.map(|element| (node, level, element, list));
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
    let numbers = values.iter().map(number);
    assemble(levels, &definition, &repetition, numbers, || f32::NAN)
}

/// One batch of lists of other values; `None` is a null list, or a null element.
pub(super) fn read_values(
    reader: &mut ColumnReader,
    levels: ListLevels,
    meaning: Meaning,
    rows: usize,
) -> Result<Vec<Option<Vec<Option<Value>>>>> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => values_as(reader, levels, rows, |v| Ok(Value::Bool(v))),
        ColumnReader::Int32ColumnReader(reader) => {
            values_as(reader, levels, rows, |v| Ok(meaning.of_integer(v.into(), 32)))
        }
        ColumnReader::Int64ColumnReader(reader) => {
            values_as(reader, levels, rows, |v| Ok(meaning.of_integer(v, 64)))
        }
        ColumnReader::Int96ColumnReader(reader) => {
            values_as(reader, levels, rows, |v| Ok(Meaning::of_int96(&v)))
        }
        ColumnReader::ByteArrayColumnReader(reader) => values_as(reader, levels, rows, |v| meaning.of_bytes(v)),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => {
            values_as(reader, levels, rows, |v| meaning.of_bytes(v.into()))
        }
        _ => Err(ParquetError::General("not a list of names or whole numbers".to_owned())),
    }
}

fn values_as<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    levels: ListLevels,
    rows: usize,
    value: impl Fn(T::T) -> Result<Value>,
) -> Result<Vec<Option<Vec<Option<Value>>>>> {
    let (mut definition, mut repetition, mut values) = (Vec::new(), Vec::new(), Vec::new());
    reader.read_records(rows, Some(&mut definition), Some(&mut repetition), &mut values)?;
    let values: Vec<Option<Value>> =
        values.into_iter().map(|element| value(element).map(Some)).collect::<Result<_>>()?;
    assemble(levels, &definition, &repetition, values.into_iter(), || None)
}

/// Lists from levels and values; `null` is what stands for a null element.
fn assemble<T>(
    levels: ListLevels,
    definition: &[i16],
    repetition: &[i16],
    mut values: impl Iterator<Item = T>,
    null: impl Fn() -> T,
) -> Result<Vec<Option<Vec<T>>>> {
    let mut lists: Vec<Option<Vec<T>>> = Vec::new();
    for (definition, repetition) in definition.iter().zip(repetition) {
        if *repetition == 0 {
            lists.push((*definition >= levels.list).then(Vec::new));
        }
        if *definition < levels.element {
            continue;
        }
        let element = if *definition == levels.value { values.next() } else { Some(null()) };
        match (lists.last_mut(), element) {
            (Some(Some(list)), Some(element)) => list.push(element),
            _ => return Err(ParquetError::General("a list's levels and values disagree".to_owned())),
        }
    }
    Ok(lists)
}
