//! From labels as they stand in data to the ids of a label map.

use std::fmt;

use distill_core::LabelMap;
use serde::{Deserialize, Serialize};

use crate::error::{DataError, Place, did_you_mean, name_list, nearest};

/// A label as it stands in the data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RawLabel {
    /// A number, meant as the id of a class.
    Id(i64),
    /// The name of a class.
    Name(String),
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

/// The class id of a label.
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
