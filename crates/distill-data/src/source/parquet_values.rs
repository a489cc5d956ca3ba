//! What the values of a Parquet file are in a row: an id, a text, words, a label.

use distill_task::LabelShape;

use super::answers::of_pairs;
use super::found::{Ask, Found, LabelType, Several};
use super::labels::{RawLabel, finite, not_a_label, one_class, several_from_text};
use super::sentence::{of_tag, of_tags};
use crate::parquet::Value;

/// An id as text: a string, a whole number, or what has a usual text form.
pub(crate) fn id_of(value: Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::Decimal(decimal)) => match decimal.to_integer() {
            Some(number) => Ok(number.to_string()),
            None => Err(format!("{decimal} is neither a string nor a whole number")),
        },
        Some(value @ (Value::Float(_) | Value::Bool(_))) => {
            Err(format!("{} is neither a string nor a whole number", value.to_text()?))
        }
        Some(value) => value.to_text(),
        None => Err("null is not an id".to_owned()),
    }
}

/// A text, or none for null.
pub(crate) fn text_of(value: Option<Value>) -> Result<Option<String>, String> {
    match value {
        None => Ok(None),
        Some(value @ (Value::Bytes(_) | Value::Text(_))) => value.to_text().map(Some),
        Some(value) => Err(format!("{} is not a string", value.to_text()?)),
    }
}

/// The words of a row.
pub(crate) fn words_of(list: Option<Vec<Option<Value>>>) -> Result<Vec<String>, String> {
    let word = |(number, word): (usize, Option<Value>)| match text_of(word)? {
        Some(word) => Ok(word),
        None => Err(format!("word {number} is null")),
    };
    (1..).zip(list.ok_or("null")?).map(word).collect()
}

/// The label of a row that has a list.
pub(crate) fn list_label(list: Vec<Option<Value>>, ask: Ask) -> Result<Option<Found>, String> {
    match ask.problem_type.label_shape() {
        LabelShape::Tags => {
            let tags = list.into_iter().map(|tag| class_of(tag, ask.label_type).map(of_tag));
            tags.collect::<Result<_, _>>().map(of_tags)
        }
        LabelShape::Spans => {
            let end = |end| if let Some(Value::Integer(end)) = end { Some(end) } else { None };
            of_pairs(&list.into_iter().map(end).collect::<Vec<_>>()).map(Some)
        }
        _ => classes_of(list, ask).map(Some),
    }
}

/// A row's label, or none for null and the empty string.
pub(crate) fn label_of(value: Option<Value>, ask: Ask) -> Result<Option<Found>, String> {
    match (ask.problem_type.label_shape(), value) {
        (_, None) => Ok(None),
        (LabelShape::Class, Some(value)) => {
            if let Value::Bytes(_) | Value::Text(_) = value {
                one_class(&value.to_text()?, ask)?;
            }
            Ok(class_of(Some(value), ask.label_type)?.map(Found::One))
        }
        (LabelShape::Classes, Some(text @ (Value::Bytes(_) | Value::Text(_)))) => {
            let text = text.to_text()?;
            let several = (!text.trim().is_empty()).then(|| several_from_text(&text, ask)).transpose()?;
            Ok(several.map(Found::Several))
        }
        (LabelShape::Classes, value) => Several::of(std::iter::once(class_of(value, ask.label_type)))
            .map(|several| Some(Found::Several(several))),
        (LabelShape::Value, Some(value)) => match (value.to_f64(), value.to_text()?) {
            (Some(number), _) => finite(number).map(Some),
            (None, text) if text.is_empty() => Ok(None),
            (None, text) => Err(format!("{:?} is not a number", text.chars().take(80).collect::<String>())),
        },
        (LabelShape::Tags | LabelShape::Spans, _) => Err(not_a_label(ask)),
    }
}

/// The classes of one list.
pub(crate) fn classes_of(list: Vec<Option<Value>>, ask: Ask) -> Result<Found, String> {
    let floats = list.iter().flatten().any(|value| matches!(value, Value::Float(_)));
    let several = Several::of(list.into_iter().map(|value| class_of(value, ask.label_type)))?;
    Ok(Found::Several(Several { floats, ..several }))
}

/// A class, or none for null and the empty string.
fn class_of(value: Option<Value>, label_type: Option<LabelType>) -> Result<Option<RawLabel>, String> {
    let Some(value) = value else { return Ok(None) };
    match value {
        _ if label_type == Some(LabelType::Name) => RawLabel::from_name(&value.to_text()?, label_type),
        Value::Integer(id) => Ok(Some(RawLabel::Id(id))),
        Value::Bool(flag) => Ok(Some(RawLabel::Id(i64::from(flag)))),
        Value::Float(value) => RawLabel::from_float(value).map(Some),
        Value::Decimal(decimal) => match decimal.to_integer().map(i64::try_from) {
            Some(Ok(id)) => Ok(Some(RawLabel::Id(id))),
            _ => Err(format!("{decimal} is neither a name nor a whole number")),
        },
        Value::Unsigned(number) => Err(format!("{number} is not a label id")),
        Value::Bytes(_) | Value::Text(_) => RawLabel::from_name(&value.to_text()?, label_type),
    }
}
