//! The Parquet schema of logits, as `docs/formats.md` and the store's readers know it.

use std::sync::Arc;

use distill_task::{LabelColumn, TaskId};
use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel,
};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::fingerprint::{FINGERPRINT_KEY, Fingerprint};

/// Columns of a file of logits, in their order. `tokens` and `positions` are in files of tasks with several positions a row
/// alone.
pub const COLUMNS: [&str; 9] =
    ["row", "id", "text_hash", "text", "text_pair", "tokens", "label", "positions", "logits"];

fn string(name: &str, repetition: Repetition) -> Result<TypePtr> {
    let builder = Type::primitive_type_builder(name, Physical::BYTE_ARRAY).with_repetition(repetition);
    let builder = builder.with_logical_type(Some(LogicalType::String)).with_converted_type(ConvertedType::UTF8);
    Ok(Arc::new(builder.build()?))
}

fn plain(name: &str, physical: Physical, length: i32, repetition: Repetition) -> Result<TypePtr> {
    let builder = Type::primitive_type_builder(name, physical).with_length(length);
    Ok(Arc::new(builder.with_repetition(repetition).build()?))
}

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
    list("logits", element, Repetition::REQUIRED)
}

/// What a row is labelled with; null where it has no label.
fn label(problem_type: TaskId) -> Result<TypePtr> {
    let integers = |element| {
        let element = plain("element", Physical::INT32, -1, element)?;
        list("label", element, Repetition::OPTIONAL)
    };
    match problem_type.label_shape().column() {
        LabelColumn::Integer => plain("label", Physical::INT32, -1, Repetition::OPTIONAL),
        LabelColumn::Integers => integers(Repetition::REQUIRED),
        LabelColumn::NullableIntegers => integers(Repetition::OPTIONAL),
        LabelColumn::Number => plain("label", Physical::DOUBLE, -1, Repetition::OPTIONAL),
    }
}

/// `group name (LIST) { repeated group list { required element } }`
fn list(name: &str, element: TypePtr, repetition: Repetition) -> Result<TypePtr> {
    let list = Type::group_type_builder("list").with_repetition(Repetition::REPEATED);
    let list = list.with_fields(vec![element]).build()?;
    let outer = Type::group_type_builder(name).with_repetition(repetition);
    let outer = outer.with_logical_type(Some(LogicalType::List)).with_converted_type(ConvertedType::LIST);
    Ok(Arc::new(outer.with_fields(vec![Arc::new(list)]).build()?))
}

pub(super) fn schema(with_text: bool, float16: bool, problem_type: TaskId) -> Result<TypePtr> {
    let mut fields = vec![
        plain("row", Physical::INT64, -1, Repetition::REQUIRED)?,
        string("id", Repetition::REQUIRED)?,
        plain("text_hash", Physical::FIXED_LEN_BYTE_ARRAY, 16, Repetition::REQUIRED)?,
    ];
    if with_text {
        fields.push(string("text", Repetition::OPTIONAL)?);
        fields.push(string("text_pair", Repetition::OPTIONAL)?);
    }
    let is_ragged = Fingerprint::is_ragged(problem_type);
    if with_text && is_ragged {
        fields.push(list("tokens", string("element", Repetition::REQUIRED)?, Repetition::OPTIONAL)?);
    }
    fields.push(label(problem_type)?);
    if is_ragged {
        let element = plain("element", Physical::INT32, -1, Repetition::REQUIRED)?;
        fields.push(list("positions", element, Repetition::REQUIRED)?);
    }
    fields.push(logits(float16)?);
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

/// Settings that give the same bytes for the same rows on every machine: no time, no version.
pub(super) fn properties(fingerprint: String, float16: bool, problem_type: TaskId) -> Result<WriterProperties> {
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
    let kind = problem_type.label_shape().column();
    let label = match kind.is_list() {
        true => ColumnPath::new(["label", "list", "element"].map(str::to_owned).to_vec()),
        false => ColumnPath::from("label"),
    };
    for column in [ColumnPath::from("row"), ColumnPath::from("id"), label.clone()] {
        builder = builder.set_column_statistics_enabled(column, EnabledStatistics::Page);
    }
    Ok(builder.set_column_dictionary_enabled(label, kind != LabelColumn::Number).build())
}
