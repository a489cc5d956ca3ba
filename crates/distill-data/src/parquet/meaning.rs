//! What the values of a column mean: its logical type, or the older converted type, over its physical one.
//!
//! Source: apache/parquet-format, LogicalTypes.md.

use std::fmt;

use distill_core::calendar::date;
use half::f16;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, Int96};
use parquet::errors::{ParquetError, Result};
use parquet::schema::types::Type;

use super::moment::{self, Unit};
use super::value::{Decimal, Value};

/// The most digits of a decimal that 128 bits hold.
const MAX_PRECISION: i32 = 38;

/// What a column's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Text: STRING, ENUM, JSON, or bytes without a logical type.
    Text,
    /// Whole numbers; of these bits where they have no sign.
    Integer {
        /// Whether they have no sign.
        unsigned: bool,
    },
    /// FLOAT, DOUBLE, FLOAT16.
    Float,
    /// BOOLEAN.
    Bool,
    /// DECIMAL.
    Decimal {
        /// Digits.
        precision: i32,
        /// Of them behind the point.
        scale: u32,
    },
    /// DATE.
    Date,
    /// TIME.
    Time(Unit),
    /// TIMESTAMP.
    Timestamp {
        /// What it is counted in.
        unit: Unit,
        /// Whether it is a point in time, and not what a clock somewhere shows.
        utc: bool,
    },
    /// INT96, an older timestamp.
    Int96,
    /// UUID.
    Uuid,
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Meaning::Text => f.write_str("STRING"),
            Meaning::Integer { unsigned: false } => f.write_str("INTEGER"),
            Meaning::Integer { unsigned: true } => f.write_str("unsigned INTEGER"),
            Meaning::Float => f.write_str("floating-point"),
            Meaning::Bool => f.write_str("BOOLEAN"),
            Meaning::Decimal { precision, scale } => write!(f, "DECIMAL({precision},{scale})"),
            Meaning::Date => f.write_str("DATE"),
            Meaning::Time(_) => f.write_str("TIME"),
            Meaning::Timestamp { .. } | Meaning::Int96 => f.write_str("TIMESTAMP"),
            Meaning::Uuid => f.write_str("UUID"),
        }
    }
}

impl Meaning {
    /// What the values of a primitive type mean.
    ///
    /// # Errors
    /// The type's name, where they cannot be read.
    pub(super) fn of(leaf: &Type) -> std::result::Result<Self, String> {
        let physical = leaf.get_physical_type();
        let info = leaf.get_basic_info();
        let found = match info.logical_type_ref() {
            Some(logical) => by_logical(logical, physical),
            None => by_converted(info.converted_type(), leaf),
        };
        match found? {
            Some(meaning) if meaning.fits(leaf) => Ok(meaning),
            Some(meaning) => Err(format!("{meaning} in {physical}")),
            None => by_physical(physical),
        }
    }

    /// Whether the physical type can hold it.
    fn fits(self, leaf: &Type) -> bool {
        let physical = leaf.get_physical_type();
        let is_integer = matches!(physical, Physical::INT32 | Physical::INT64);
        let is_bytes = matches!(physical, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY);
        match self {
            Meaning::Text => is_bytes,
            Meaning::Integer { .. } => is_integer,
            Meaning::Float => {
                matches!(physical, Physical::FLOAT | Physical::DOUBLE) || fixed_length(leaf) == Some(2)
            }
            Meaning::Bool => physical == Physical::BOOLEAN,
            Meaning::Decimal { precision, scale } => {
                let valid = (1..=MAX_PRECISION).contains(&precision) && scale <= precision.unsigned_abs();
                valid && (is_integer || is_bytes)
            }
            Meaning::Date | Meaning::Time(Unit::Millis) => physical == Physical::INT32,
            Meaning::Time(_) | Meaning::Timestamp { .. } => physical == Physical::INT64,
            Meaning::Int96 => physical == Physical::INT96,
            Meaning::Uuid => fixed_length(leaf) == Some(16),
        }
    }

    pub(super) fn of_integer(self, value: i64, bits: u32) -> Value {
        match self {
            Meaning::Integer { unsigned: true } if bits == 32 => Value::Integer(value & 0xffff_ffff),
            Meaning::Integer { unsigned: true } => match i64::try_from(value.cast_unsigned()) {
                Ok(value) => Value::Integer(value),
                Err(_) => Value::Unsigned(value.cast_unsigned()),
            },
            Meaning::Decimal { scale, .. } => Value::Decimal(Decimal { unscaled: value.into(), scale }),
            Meaning::Date => Value::Text(date(value)),
            Meaning::Time(unit) => Value::Text(moment::time(value, unit)),
            Meaning::Timestamp { unit, utc } => Value::Text(moment::timestamp(value, unit, utc)),
            _ => Value::Integer(value),
        }
    }

    pub(super) fn of_bytes(self, bytes: ByteArray) -> Result<Value> {
        let misfit = || ParquetError::General(format!("a {self} value has {} bytes", bytes.len()));
        Ok(match self {
            Meaning::Decimal { scale, .. } => {
                Value::Decimal(Decimal::from_bytes(bytes.data(), scale).ok_or_else(misfit)?)
            }
            Meaning::Float => {
                let half = <[u8; 2]>::try_from(bytes.data()).map_err(|_| misfit())?;
                Value::Float(f16::from_le_bytes(half).to_f64())
            }
            Meaning::Uuid => {
                let uuid = <[u8; 16]>::try_from(bytes.data()).map_err(|_| misfit())?;
                Value::Text(uuid_text(u128::from_be_bytes(uuid)))
            }
            _ => Value::Bytes(bytes),
        })
    }

    pub(super) fn of_int96(value: &Int96) -> Value {
        Value::Text(moment::int96(value.data()))
    }
}

fn fixed_length(leaf: &Type) -> Option<i32> {
    match leaf {
        Type::PrimitiveType { physical_type: Physical::FIXED_LEN_BYTE_ARRAY, type_length, .. } => {
            Some(*type_length)
        }
        _ => None,
    }
}

/// `None`: as the physical type alone.
fn by_logical(logical: &LogicalType, physical: Physical) -> std::result::Result<Option<Meaning>, String> {
    Ok(Some(match logical {
        LogicalType::String | LogicalType::Enum | LogicalType::Json => Meaning::Text,
        LogicalType::Integer(kind) => Meaning::Integer { unsigned: !kind.is_signed },
        LogicalType::Decimal(kind) => decimal(kind.precision, kind.scale)?,
        LogicalType::Date => Meaning::Date,
        LogicalType::Time(kind) => Meaning::Time(unit_of(&kind.unit)),
        LogicalType::Timestamp(kind) => {
            Meaning::Timestamp { unit: unit_of(&kind.unit), utc: kind.is_adjusted_to_u_t_c }
        }
        LogicalType::Uuid => Meaning::Uuid,
        LogicalType::Float16 => Meaning::Float,
        // A column of nulls alone.
        LogicalType::Unknown => return Ok(None),
        LogicalType::Bson => return Err("BSON".to_owned()),
        LogicalType::Variant(_) => return Err("VARIANT".to_owned()),
        LogicalType::Geometry(_) => return Err("GEOMETRY".to_owned()),
        LogicalType::Geography(_) => return Err("GEOGRAPHY".to_owned()),
        _ => return Err(format!("{physical} of a logical type that is not supported")),
    }))
}

fn by_converted(converted: ConvertedType, leaf: &Type) -> std::result::Result<Option<Meaning>, String> {
    let of_utc = |unit| Meaning::Timestamp { unit, utc: true };
    Ok(Some(match converted {
        ConvertedType::NONE => return Ok(None),
        ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON => Meaning::Text,
        ConvertedType::DECIMAL => decimal(leaf.get_precision(), leaf.get_scale())?,
        ConvertedType::DATE => Meaning::Date,
        ConvertedType::TIME_MILLIS => Meaning::Time(Unit::Millis),
        ConvertedType::TIME_MICROS => Meaning::Time(Unit::Micros),
        ConvertedType::TIMESTAMP_MILLIS => of_utc(Unit::Millis),
        ConvertedType::TIMESTAMP_MICROS => of_utc(Unit::Micros),
        ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
            Meaning::Integer { unsigned: true }
        }
        ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64 => {
            Meaning::Integer { unsigned: false }
        }
        other => return Err(other.to_string()),
    }))
}

fn by_physical(physical: Physical) -> std::result::Result<Meaning, String> {
    Ok(match physical {
        Physical::BOOLEAN => Meaning::Bool,
        Physical::INT32 | Physical::INT64 => Meaning::Integer { unsigned: false },
        Physical::INT96 => Meaning::Int96,
        Physical::FLOAT | Physical::DOUBLE => Meaning::Float,
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => Meaning::Text,
    })
}

fn decimal(precision: i32, scale: i32) -> std::result::Result<Meaning, String> {
    match u32::try_from(scale) {
        Ok(scale) if precision <= MAX_PRECISION => Ok(Meaning::Decimal { precision, scale }),
        _ => Err(format!("DECIMAL({precision},{scale})")),
    }
}

fn unit_of(unit: &TimeUnit) -> Unit {
    match unit {
        TimeUnit::MILLIS => Unit::Millis,
        TimeUnit::MICROS => Unit::Micros,
        TimeUnit::NANOS => Unit::Nanos,
    }
}

/// `8-4-4-4-12` hexadecimal digits.
fn uuid_text(uuid: u128) -> String {
    let digits = format!("{uuid:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
