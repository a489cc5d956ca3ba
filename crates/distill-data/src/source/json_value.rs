//! The fields of one line of JSON, without holding more of them than a row needs: a list or an object in the place of a
//! value is passed over, however large it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::answers::{Answer, of_lists};

/// More labels than any row has.
const MAX_ROW_LABELS: usize = 1 << 16;

/// How a list in the place of a value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// As numbers.
    Numbers,
    /// As labels.
    Labels,
    /// As answers: an object with the lists `text` and `answer_start`, or a list of objects with one of each.
    Answers,
}

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JsonValue {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List,
    Object,
    /// A list of numbers, where one was asked for.
    Numbers(Vec<f32>),
    /// A list with something else at this place, counted from 0, where one of numbers was asked for.
    NotNumbers(usize, Box<JsonValue>),
    /// A list of values, where labels were asked for.
    Labels(Vec<JsonValue>),
    /// The same with more values than a row has labels.
    ManyLabels,
    /// Answers, where these were asked for.
    Answers(Vec<Answer>),
}

impl fmt::Display for JsonValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 80;
        match self {
            JsonValue::Null => f.write_str("null"),
            JsonValue::Bool(flag) => write!(f, "{flag}"),
            JsonValue::Number(number) => write!(f, "{number}"),
            JsonValue::Text(text) if text.chars().nth(SHOWN).is_none() => write!(f, "{text:?}"),
            JsonValue::Text(text) => write!(f, "{:?}…", text.chars().take(SHOWN).collect::<String>()),
            JsonValue::ManyLabels => write!(f, "a list of more than {MAX_ROW_LABELS} values"),
            JsonValue::List | JsonValue::Numbers(_) | JsonValue::NotNumbers(..) | JsonValue::Labels(_) => {
                f.write_str("a list")
            }
            JsonValue::Object | JsonValue::Answers(_) => f.write_str("an object"),
        }
    }
}

/// The values of `names` in the object on a line; others are passed over. Under the names in `lists` a list is
/// read too.
pub(crate) fn pick(
    line: &str,
    names: &[&str],
    lists: &[(&str, List)],
) -> Result<Vec<Option<JsonValue>>, String> {
    let mut reader = serde_json::Deserializer::from_str(line);
    let picked = reader.deserialize_map(Pick { names, lists });
    picked.and_then(|fields| reader.end().map(|()| fields)).map_err(|error| {
        let text = error.to_string();
        let suffix = format!(" at line {} column {}", error.line(), error.column());
        match no_number(line) {
            Some((column, word)) => format!(
                "column {column}: {word} is not valid JSON, although Python writes it; write null for a missing \
                 value (pandas: to_json; Python: json.dumps(…, allow_nan=False) finds it)"
            ),
            None => {
                format!("column {}: not a JSON object: {}", error.column(), text.trim_end_matches(&suffix))
            }
        }
    })
}

/// Where a line that is no JSON has `NaN` or `Infinity` outside of its strings: the column in bytes, from 1.
fn no_number(line: &str) -> Option<(usize, &'static str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'N' | b'I' | b'-' if !quoted => {
                let rest = &line[at..];
                let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word));
                if let Some(word) = word {
                    return Some((at + 1, word));
                }
            }
            _ => {}
        }
    }
    None
}

/// The keys of the object on a line, for messages.
pub(crate) fn keys(line: &str) -> Vec<String> {
    serde_json::Deserializer::from_str(line).deserialize_map(Keys).unwrap_or_default()
}

struct Pick<'a> {
    names: &'a [&'a str],
    lists: &'a [(&'a str, List)],
}

impl<'de> Visitor<'de> for Pick<'_> {
    type Value = Vec<Option<JsonValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON object per line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = vec![None; self.names.len()];
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.names.iter().position(|name| *name == key) {
                Some(position) => {
                    let list = self.lists.iter().find(|(name, _)| *name == key).map(|(_, list)| *list);
                    fields[position] = Some(map.next_value_seed(Field { list })?);
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(fields)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // More are never shown.
        const KEPT: usize = 64;
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if keys.len() < KEPT {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// One value.
struct Field {
    list: Option<List>,
}

impl<'de> DeserializeSeed<'de> for Field {
    type Value = JsonValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<JsonValue, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Field {
    type Value = JsonValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<JsonValue, E> {
        Ok(JsonValue::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<JsonValue, E> {
        Ok(JsonValue::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<JsonValue, E> {
        Ok(JsonValue::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<JsonValue, E> {
        Ok(JsonValue::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<JsonValue, E> {
        Ok(Number::from_f64(number).map_or(JsonValue::Null, JsonValue::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<JsonValue, E> {
        Ok(JsonValue::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<JsonValue, E> {
        Ok(JsonValue::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonValue, A::Error> {
        if self.list == Some(List::Answers) {
            return answers(map);
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(JsonValue::Object)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonValue, A::Error> {
        if self.list == Some(List::Labels) {
            return labels(list);
        }
        if self.list == Some(List::Answers) {
            return each_answer(list);
        }
        let mut numbers = Vec::new();
        let mut other = None;
        while self.list == Some(List::Numbers) && other.is_none() {
            match list.next_element_seed(Field { list: None })? {
                Some(JsonValue::Number(number)) => numbers.push(number.as_f64().unwrap_or(f64::NAN) as f32),
                Some(value) => other = Some(JsonValue::NotNumbers(numbers.len(), Box::new(value))),
                None => return Ok(JsonValue::Numbers(numbers)),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(other.unwrap_or(JsonValue::List))
    }
}

/// Answers as an object: what is no answer becomes an object like any other.
fn answers<'de, A: MapAccess<'de>>(mut map: A) -> Result<JsonValue, A::Error> {
    let (mut texts, mut starts) = (None, None);
    while let Some(key) = map.next_key::<Cow<'de, str>>()? {
        match &*key {
            "text" => texts = Some(map.next_value_seed(Field { list: Some(List::Labels) })?),
            "answer_start" => starts = Some(map.next_value_seed(Field { list: Some(List::Labels) })?),
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
    }
    let list = |value: Option<JsonValue>| match value? {
        JsonValue::Labels(values) => Some(values),
        one => Some(vec![one]),
    };
    let text = |value: JsonValue| if let JsonValue::Text(text) = value { Some(text) } else { None };
    let start = |value: JsonValue| if let JsonValue::Number(start) = value { start.as_i64() } else { None };
    let found = || {
        let texts = list(texts)?.into_iter().map(text).collect::<Option<Vec<_>>>()?;
        let starts = list(starts)?.into_iter().map(start).collect::<Option<Vec<_>>>()?;
        of_lists(texts, starts)
    };
    Ok(found().map_or(JsonValue::Object, JsonValue::Answers))
}

/// Answers as a list of objects.
fn each_answer<'de, A: SeqAccess<'de>>(mut list: A) -> Result<JsonValue, A::Error> {
    let mut all = Vec::new();
    while let Some(one) = list.next_element_seed(Field { list: Some(List::Answers) })? {
        match one {
            JsonValue::Answers(answers) if all.len() < MAX_ROW_LABELS => all.extend(answers),
            _ => {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(JsonValue::List);
            }
        }
    }
    Ok(JsonValue::Answers(all))
}

fn labels<'de, A: SeqAccess<'de>>(mut list: A) -> Result<JsonValue, A::Error> {
    let mut labels = Vec::new();
    while let Some(label) = list.next_element_seed(Field { list: None })? {
        if labels.len() == MAX_ROW_LABELS {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(JsonValue::ManyLabels);
        }
        labels.push(label);
    }
    Ok(JsonValue::Labels(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_a_number_is_named_with_its_place() {
        for (line, expected) in [
            (r#"{"text": "NaN\"", "label": NaN}"#, "column 28: NaN is not valid JSON"),
            (r#"{"x": [1, -Infinity]}"#, "column 11: -Infinity is not valid JSON"),
        ] {
            let error = pick(line, &["text"], &[]).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(pick(r#"{"text": "NaN"} x"#, &["text"], &[]).unwrap_err().contains("not a JSON object"));
    }

    #[test]
    fn fields_are_read_and_what_is_too_large_for_one_is_passed_over() {
        let line =
            r#"{"a": [[1, {"b": 2}]], "x": [1], "n": [1, -2.5, 3e0], "t": "é", "o": {"k": [0]}, "i": 7}"#;
        let found = pick(line, &["a", "n", "t", "o", "i", "absent"], &[("n", List::Numbers)]).unwrap();
        let expected = [
            Some(JsonValue::List),
            Some(JsonValue::Numbers(vec![1.0, -2.5, 3.0])),
            Some(JsonValue::Text("é".to_owned())),
            Some(JsonValue::Object),
            Some(JsonValue::Number(7.into())),
            None,
        ];
        assert_eq!(found, expected);
        let found = pick(r#"{"n": [1, "x", 2]}"#, &["n"], &[("n", List::Numbers)]).unwrap();
        assert_eq!(found, [Some(JsonValue::NotNumbers(1, Box::new(JsonValue::Text("x".to_owned()))))]);
        let line_of_labels = r#"{"n": ["x", 2, null]}"#;
        let expected = [JsonValue::Text("x".to_owned()), JsonValue::Number(2.into()), JsonValue::Null];
        let found = pick(line_of_labels, &["n"], &[("n", List::Labels)]).unwrap();
        assert_eq!(found, [Some(JsonValue::Labels(expected.to_vec()))]);
        let many = format!("{{\"n\": [{}0]}}", "0,".repeat(MAX_ROW_LABELS));
        assert_eq!(pick(&many, &["n"], &[("n", List::Labels)]).unwrap(), [Some(JsonValue::ManyLabels)]);
        assert_eq!(keys(line), ["a", "x", "n", "t", "o", "i"]);
    }

    #[test]
    fn what_is_no_object_is_told_with_its_column() {
        assert!(pick("[1]", &[], &[]).unwrap_err().contains("not a JSON object"));
        assert!(pick("{\"a\": 1} x", &[], &[]).unwrap_err().starts_with("column 10"));
        let deep = format!("{{\"a\": {}", "[".repeat(100_000));
        assert!(pick(&deep, &["a"], &[]).unwrap_err().contains("EOF"));
    }
}
