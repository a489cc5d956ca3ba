//! The Parquet schema of logits, as `docs/formats.md` and the store's readers know it.

use std::sync::Arc;

use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel,
};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::fingerprint::FINGERPRINT_KEY;

/// Columns of a file of logits, in their order.
pub const COLUMNS: [&str; 7] = ["row", "id", "text_hash", "text", "text_pair", "label", "logits"];

fn string(name: &str, repetition: Repetition) -> Result<TypePtr> {
    let builder = Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(repetition);
    let builder = builder.with_logical_type(Some(LogicalType::String)).with_converted_type(ConvertedType::UTF8);
    Ok(Arc::new(builder.build()?))
}

fn plain(name: &str, physical: Physical, length: i32, repetition: Repetition) -> Result<TypePtr> {
    let builder = Type::primitive_type_builder(name, physical).with_length(length);
    Ok(Arc::new(builder.with_repetition(repetition).build()?))
}

/// `required group logits (LIST) { repeated group list { required float element } }`
fn logits(float16: bool) -> Result<TypePtr> {
    let element = match float16 {
        false => plain("element", Physical::FLOAT, -1, Repetition::REQUIRED)?,
        true => Arc::new(
            Type::primitive_type_builder("element", Physical::FIXED_LEN_BYTE_ARRAY)
                .with_length(2)
                .with_logical_type(Some(LogicalType::Float16))
                .with_repetition(Repetition::REQUIRED)
                .build()?,
        ),
    };
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
    let list = list.with_fields(vec![element]).build()?;
    let outer = Type::group_type_builder("logits").with_repetition(Repetition::REQUIRED);
    let outer = outer.with_logical_type(Some(LogicalType::List)).with_converted_type(ConvertedType::LIST);
    Ok(Arc::new(outer.with_fields(vec![Arc::new(list)]).build()?))
}

pub(super) fn schema(with_text: bool, float16: bool) -> Result<TypePtr> {
    let mut fields = vec![
        plain("row", Physical::INT64, -1, Repetition::REQUIRED)?,
        string("id", Repetition::REQUIRED)?,
        plain("text_hash", Physical::FIXED_LEN_BYTE_ARRAY, 16, Repetition::REQUIRED)?,
    ];
    if with_text {
        fields.push(string("text", Repetition::OPTIONAL)?);
        fields.push(string("text_pair", Repetition::OPTIONAL)?);
    }
    fields.push(plain("label", Physical::INT32, -1, Repetition::OPTIONAL)?);
    fields.push(logits(float16)?);
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

/// Settings that give the same bytes for the same rows on every machine: no time, no version.
pub(super) fn properties(fingerprint: String, float16: bool) -> Result<WriterProperties> {
    let logits = ColumnPath::new(["logits", "list", "element"].map(str::to_owned).to_vec());
    // Not every reader knows byte stream split for float16 yet.
    let encoding = if float16 { Encoding::PLAIN } else { Encoding::BYTE_STREAM_SPLIT };
    let mut builder = WriterProperties::builder()
        .set_created_by("distill".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_encoding(logits, encoding)
        .set_key_value_metadata(Some(vec![KeyValue::new(FINGERPRINT_KEY.to_owned(), fingerprint)]));
    for name in ["row", "id", "label"] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    Ok(builder.set_column_dictionary_enabled(ColumnPath::from("label"), true).build())
}
