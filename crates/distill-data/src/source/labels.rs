//! From labels as they stand in data to the ids of a label map.

use std::collections::BTreeSet;
use std::fmt;

use distill_core::{Label, LabelMap, ProblemType};
use serde::{Deserialize, Serialize};

use crate::error::{DataError, Place, did_you_mean, name_list, nearest};

/// A class as it stands in the data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RawLabel {
    /// A number, meant as the id of a class.
    Id(i64),
    /// The name of a class.
    Name(String),
}

/// Several classes, in the order given.
///
/// # Errors
/// One that stands there twice, or an empty name.
pub(crate) fn several(
    classes: impl Iterator<Item = Result<Option<RawLabel>, String>>,
) -> Result<Label<RawLabel>, String> {
    let mut several: Vec<RawLabel> = Vec::new();
    let mut seen = BTreeSet::new();
    for class in classes {
        let class = class?.ok_or_else(|| "an empty name among the labels".to_owned())?;
        if !seen.insert(class.clone()) {
            return Err(format!("label {class} stands there twice"));
        }
        several.push(class);
    }
    Ok(Label::Classes(several))
}

/// A number that 32 bits can hold.
///
/// # Errors
/// One that is not finite, or too large.
pub(crate) fn finite(value: f64) -> Result<Label<RawLabel>, String> {
    match (value.is_finite(), (value as f32).is_finite()) {
        (true, true) => Ok(Label::Value(value)),
        (true, false) => Err(format!("{value} is too large for a number of 32 bits")),
        (false, _) => Err(format!("{value} is not a finite number")),
    }
}

/// A label from a text cell: none where it is empty. Of several classes the names stand between `|`, which
/// alone means no class at all.
pub(crate) fn label_from_cell(
    cell: &str,
    problem_type: ProblemType,
) -> Result<Option<Label<RawLabel>>, String> {
    let trimmed = cell.trim();
    match problem_type {
        ProblemType::SingleLabel => Ok(RawLabel::from_cell(cell).map(Label::Class)),
        _ if trimmed.is_empty() => Ok(None),
        ProblemType::MultiLabel if trimmed == "|" => Ok(Some(Label::Classes(Vec::new()))),
        ProblemType::MultiLabel => {
            let classes = trimmed.split('|').map(|name| Ok(RawLabel::from_cell(name.trim())));
            several(classes).map(Some)
        }
        ProblemType::Regression => match trimmed.parse() {
            Ok(value) => finite(value).map(Some),
            Err(_) => Err(format!("{:?} is not a number", shortened(trimmed))),
        },
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 80;
    text.chars().take(SHOWN).collect()
}

impl fmt::Display for RawLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RawLabel::Id(id) => write!(f, "{id}"),
            RawLabel::Name(name) => write!(f, "{name:?}"),
        }
    }
}

impl RawLabel {
    /// The name, or the id in digits.
    pub(crate) fn to_name(&self) -> String {
        match self {
            RawLabel::Id(id) => id.to_string(),
            RawLabel::Name(name) => name.clone(),
        }
    }

    /// A label from a text cell: none where it is empty, an id where it is a whole number.
    pub(crate) fn from_cell(cell: &str) -> Option<Self> {
        let trimmed = cell.trim();
        if trimmed.is_empty() {
            return None;
        }
        // Programs that know no missing integers write 3 as 3.0.
        let digits = match trimmed.split_once('.') {
            Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
            _ => trimmed,
        };
        Some(digits.parse().map(RawLabel::Id).unwrap_or_else(|_| RawLabel::Name(cell.to_owned())))
    }

    /// A label from a floating-point number, which must be whole.
    pub(crate) fn from_float(value: f64) -> Result<Self, String> {
        if value.fract() == 0.0 && value.abs() < 9e15 {
            Ok(RawLabel::Id(value as i64))
        } else {
            Err(format!("{value} is neither a name nor a whole number"))
        }
    }
}

/// A label with the ids of its classes, in rising order.
///
/// # Errors
/// As [`resolve_label`]; [`DataError::Value`] for two names of one class.
pub fn resolve(
    label: &Label<RawLabel>,
    map: &LabelMap,
    place: &Place,
    column: &str,
) -> Result<Label<i32>, DataError> {
    match label {
        Label::Class(class) => resolve_label(class, map, place, column).map(Label::Class),
        Label::Value(value) => Ok(Label::Value(*value)),
        Label::Classes(classes) => {
            let ids = classes.iter().map(|class| resolve_label(class, map, place, column));
            let mut ids = ids.collect::<Result<Vec<i32>, DataError>>()?;
            ids.sort_unstable();
            match ids.windows(2).find(|pair| pair[0] == pair[1]) {
                Some(pair) => {
                    Err(DataError::value(place, column, format!("label {} stands there twice", pair[0])))
                }
                None => Ok(Label::Classes(ids)),
            }
        }
    }
}

/// The class id of one class.
///
/// # Errors
/// [`DataError::Value`] at `place` for a name that `map` does not know, with those it knows and the
/// nearest, or for an id outside `0..C`.
pub fn resolve_label(label: &RawLabel, map: &LabelMap, place: &Place, column: &str) -> Result<i32, DataError> {
    let id = match label {
        RawLabel::Id(id) => usize::try_from(*id).ok().filter(|id| *id < map.num_labels()),
        RawLabel::Name(name) => map.id(name),
    };
    id.and_then(|id| i32::try_from(id).ok()).ok_or_else(|| {
        let what = match label {
            RawLabel::Id(id) => format!("{id} is outside 0..{}", map.num_labels()),
            RawLabel::Name(name) => format!(
                "unknown label {name:?}; known are {}{}",
                name_list(map.names()),
                did_you_mean(&nearest(name, map.names()))
            ),
        };
        DataError::value(place, column, what)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::error::At;

    #[test]
    fn cells_with_whole_numbers_are_ids_and_all_else_is_a_name() {
        assert_eq!(RawLabel::from_cell("3"), Some(RawLabel::Id(3)));
        assert_eq!(RawLabel::from_cell("3.0"), Some(RawLabel::Id(3)));
        assert_eq!(RawLabel::from_cell("-1"), Some(RawLabel::Id(-1)));
        assert_eq!(RawLabel::from_cell("3.5"), Some(RawLabel::Name("3.5".into())));
        assert_eq!(RawLabel::from_cell("ham "), Some(RawLabel::Name("ham ".into())));
        assert_eq!(RawLabel::from_cell(" "), None);
        assert!(RawLabel::from_float(f64::NAN).is_err());
        assert!(RawLabel::from_float(0.5).is_err());
    }

    #[test]
    fn cells_hold_several_names_or_a_number_where_the_model_asks_for_them() {
        let several = |cell| label_from_cell(cell, ProblemType::MultiLabel);
        let names = |names: &[&str]| {
            Label::Classes(names.iter().map(|name| RawLabel::Name((*name).to_owned())).collect())
        };
        assert_eq!(several("joy | anger"), Ok(Some(names(&["joy", "anger"]))));
        assert_eq!(several("joy"), Ok(Some(names(&["joy"]))));
        assert_eq!(several("2|0"), Ok(Some(Label::Classes(vec![RawLabel::Id(2), RawLabel::Id(0)]))));
        assert_eq!(several("|"), Ok(Some(Label::Classes(Vec::new()))));
        assert_eq!(several(" "), Ok(None));
        assert_eq!(several("joy||anger").unwrap_err(), "an empty name among the labels");
        assert_eq!(several("joy|joy").unwrap_err(), r#"label "joy" stands there twice"#);
        let number = |cell| label_from_cell(cell, ProblemType::Regression);
        assert_eq!(number(" -2.5 "), Ok(Some(Label::Value(-2.5))));
        assert_eq!(number(""), Ok(None));
        assert_eq!(number("high").unwrap_err(), r#""high" is not a number"#);
        assert!(number("nan").unwrap_err().contains("not a finite number"));
        assert!(number("1e39").unwrap_err().contains("too large"));
    }

    #[test]
    fn a_label_outside_the_map_names_the_row_and_what_is_known() {
        let map = LabelMap::new(["entity", "human"]).unwrap();
        let place = Place { file: Path::new("q.csv").into(), at: At::Line(17) };
        let resolve = |label| resolve_label(&label, &map, &place, "label");
        assert_eq!(resolve(RawLabel::Name("human".into())).unwrap(), 1);
        assert_eq!(resolve(RawLabel::Id(1)).unwrap(), 1);
        let error = resolve(RawLabel::Id(9)).unwrap_err().to_string();
        assert_eq!(error, r#"q.csv: line 17: column "label": 9 is outside 0..2"#);
        let error = resolve(RawLabel::Name("humn".into())).unwrap_err().to_string();
        assert!(error.ends_with(r#"known are "entity", "human"; did you mean "human"?"#), "{error}");
        assert!(resolve(RawLabel::Id(-1)).is_err());
        assert!(resolve(RawLabel::Id(i64::MAX)).is_err());
    }
}
