//! A file of label names: what the labels of the data mean, where neither data nor model say it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use distill_core::{LabelError, LabelMap, read::bounded};
use serde_json::{Value, json};

use crate::error::DataError;

/// The largest file.
const MAX_BYTES: u64 = 16 << 20;

/// What a file of label names says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelNames {
    /// Names in the order of their ids.
    Ordered(Arc<[String]>),
    /// Labels of the data, and the names that they stand for.
    Translated(Arc<BTreeMap<String, String>>),
}

impl LabelNames {
    /// As JSON: a list, or an object.
    pub fn to_json(&self) -> Value {
        match self {
            LabelNames::Ordered(names) => json!(&**names),
            LabelNames::Translated(names) => json!(&**names),
        }
    }

    /// Reads one name a line, a JSON list of names, a JSON object of ids and names in either order
    /// (`{"0": "neg"}`, `{"neg": 0}`), or one of the data's labels and the names that they stand for
    /// (`{"bad": "neg"}`).
    ///
    /// # Errors
    /// [`DataError::File`]; [`DataError::Labels`] for a name that is there twice, or none at all;
    /// [`DataError::Label`] for JSON of another form.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = bounded(path, MAX_BYTES)?;
        let unfit = |what: String| DataError::Label { file: path.to_owned(), what };
        let text = String::from_utf8(bytes)
            .map_err(|error| unfit(format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to() + 1)))?;
        let text = text.trim_start_matches('\u{feff}').trim();
        let names = match text.starts_with(['{', '[']) {
            true => from_json(text).map_err(unfit)?,
            false => LabelNames::Ordered(text.lines().map(|line| line.trim().to_owned()).collect()),
        };
        if let LabelNames::Ordered(names) = &names {
            let failed = |source: LabelError| DataError::Labels { file: path.to_owned(), source };
            LabelMap::new(names.iter().cloned()).map_err(failed)?;
            if names.iter().any(String::is_empty) {
                return Err(unfit("a line is empty; expected one label name per line".to_owned()));
            }
        }
        Ok(names)
    }
}

fn from_json(text: &str) -> Result<LabelNames, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let expected = || {
        "expected a list of names, an object from ids to names, or an object from the data's labels to the model's"
            .to_owned()
    };
    let name = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(expected);
    let object = match &value {
        Value::Array(names) => {
            return Ok(LabelNames::Ordered(names.iter().map(name).collect::<Result<_, _>>()?));
        }
        Value::Object(object) if !object.is_empty() => object,
        _ => return Err(expected()),
    };
    if object.values().all(Value::is_u64) {
        let by_id = object.iter().filter_map(|(name, id)| Some((id.as_u64()?.to_string(), name.clone())));
        return ordered(by_id.collect()).ok_or_else(expected);
    }
    let names: BTreeMap<String, String> =
        object.iter().map(|(key, value)| Ok((key.clone(), name(value)?))).collect::<Result<_, String>>()?;
    Ok(ordered(names.clone()).unwrap_or_else(|| LabelNames::Translated(names.into())))
}

/// Names by id, where the ids are 0 to n − 1.
fn ordered(names: BTreeMap<String, String>) -> Option<LabelNames> {
    let in_order: Option<Arc<[String]>> =
        (0..names.len()).map(|id| names.get(&id.to_string()).cloned()).collect();
    in_order.map(LabelNames::Ordered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LabelNames, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("labels");
        distill_core::atomic::write(&path, text.as_bytes()).unwrap();
        LabelNames::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn names_in_order_are_lines_a_list_or_ids_in_either_direction() {
        let expected = LabelNames::Ordered(["neg", "pos"].map(str::to_owned).into());
        for text in [
            "neg\npos\n",
            "\u{feff}neg\r\npos",
            r#"["neg", "pos"]"#,
            r#"{"1": "pos", "0": "neg"}"#,
            r#"{"pos": 1, "neg": 0}"#,
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        let LabelNames::Translated(names) = read(r#"{"1": "neg", "2": "pos"}"#).unwrap() else { panic!() };
        assert_eq!(names["2"], "pos");
        for (text, problem) in [
            ("", "empty"),
            ("a\n\nb", "a line is empty"),
            ("a\na", "is used for two ids"),
            ("[1]", "expected a list of names"),
            ("{}", "expected a list of names"),
            (r#"{"a": 0, "b": 2}"#, "expected a list of names"),
            ("[", "not JSON"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }
}
