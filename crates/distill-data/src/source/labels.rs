//! From labels as they stand in data to the ids of a label map.

use std::fmt;

use distill_core::LabelMap;
use distill_task::{Label, LabelShape};
use serde::{Deserialize, Serialize};

use super::found::{Ask, Found, LabelType, Several};
use super::list_cell::{self, Item};
use crate::error::{DataError, Place, did_you_mean, name_list, nearest};

/// What to do where a model's labels have no names.
const NAMELESS: &str = "; the model's labels have no names: write them to a file, one per line from id 0 on, and \
                        give it with --label-map FILE";

/// A class as it stands in the data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RawLabel {
    /// A number, meant as the id of a class.
    Id(i64),
    /// The name of a class.
    Name(String),
}

/// A number that 32 bits can hold.
///
/// # Errors
/// One that is not finite, or too large.
pub(crate) fn finite(value: f64) -> Result<Found, String> {
    match (value.is_finite(), (value as f32).is_finite()) {
        (true, true) => Ok(Found::Number(value)),
        (true, false) => Err(format!("{value} is too large for a number of 32 bits")),
        (false, _) => Err(format!("{value} is not a finite number")),
    }
}

/// A label from a text cell: none where it is empty. Of several classes the names stand between `|`, which
/// alone means no class at all, or in a list as Python prints it.
pub(crate) fn label_from_cell(cell: &str, ask: Ask) -> Result<Option<Found>, String> {
    let trimmed = cell.trim();
    match ask.problem_type.label_shape() {
        LabelShape::Class => {
            one_class(trimmed, ask)?;
            Ok(RawLabel::from_cell(trimmed, ask.label_type)?.map(Found::One))
        }
        _ if trimmed.is_empty() => Ok(None),
        LabelShape::Classes => several_from_text(trimmed, ask).map(|several| Some(Found::Several(several))),
        LabelShape::Value => match trimmed.parse() {
            Ok(value) => finite(value).map(Some),
            Err(_) => Err(format!("{:?} is not a number", shortened(trimmed))),
        },
        LabelShape::Tags | LabelShape::Spans => Err(not_a_label(ask)),
    }
}

/// Why a column of labels says nothing where a row has more than one position.
pub(crate) fn not_a_label(ask: Ask) -> String {
    format!("a column of labels cannot hold {}", ask.problem_type.words())
}

/// Refuses a text that looks like a list where a row has one class.
///
/// # Errors
/// With what to do.
pub(crate) fn one_class(text: &str, ask: Ask) -> Result<(), String> {
    match list_cell::parse(text).filter(|_| ask.label_type != Some(LabelType::Name)) {
        None => Ok(()),
        Some(_) => Err(format!(
            "{:?} looks like a list of labels, but a row has one class; read lists with --problem-type \
             multi_label_classification, or read it as a name with --label-type name",
            shortened(text)
        )),
    }
}

/// Classes between bars, or in a list as Python prints it.
pub(crate) fn several_from_text(text: &str, ask: Ask) -> Result<Several, String> {
    let Some(list) = list_cell::parse(text) else {
        return match text.trim() {
            "|" => Ok(Several::default()),
            text => Several::of(text.split('|').map(|name| RawLabel::from_cell(name, ask.label_type))),
        };
    };
    let items = list.map_err(|what| format!("{:?} looks like a list, but {what}", shortened(text)))?;
    let mut floats = false;
    let classes = items.into_iter().map(|item| match item {
        Item::Text(name) => RawLabel::from_name(&name, ask.label_type),
        Item::Number(number) if ask.label_type == Some(LabelType::Name) => Ok(Some(RawLabel::Name(number))),
        Item::Number(number) => match (number.parse::<i64>(), number.parse::<f64>()) {
            (Ok(id), _) => Ok(Some(RawLabel::Id(id))),
            (Err(_), Ok(value)) => {
                floats = true;
                RawLabel::from_float(value).map(Some)
            }
            (Err(_), Err(_)) => Err(format!("{number} is not a label")),
        },
    });
    let several = Several::of(classes)?;
    Ok(Several { floats, ..several })
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

    /// A label from a text cell: none where it is empty, an id where it is a whole number as one writes it. `01` is
    /// a name, of which spaces at either end are no part.
    ///
    /// # Errors
    /// What is no id, where ids are asked for.
    pub(crate) fn from_cell(cell: &str, label_type: Option<LabelType>) -> Result<Option<Self>, String> {
        let trimmed = cell.trim();
        if trimmed.is_empty() || matches!(label_type, Some(LabelType::Name | LabelType::Id)) {
            return Self::from_name(trimmed, label_type);
        }
        // Programs that know no missing integers write 3 as 3.0.
        let digits = match trimmed.split_once('.') {
            Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|b| b == b'0') => whole,
            _ => trimmed,
        };
        let id = digits.parse::<i64>().ok().filter(|id| id.to_string() == digits);
        Ok(Some(id.map_or_else(|| RawLabel::Name(trimmed.to_owned()), RawLabel::Id)))
    }

    /// A label from a string: a name without spaces at either end, none where it is empty; the id that it says where
    /// ids are asked for.
    ///
    /// # Errors
    /// What is no id, where ids are asked for.
    pub(crate) fn from_name(name: &str, label_type: Option<LabelType>) -> Result<Option<Self>, String> {
        let name = name.trim();
        match label_type {
            _ if name.is_empty() => Ok(None),
            Some(LabelType::Id) => match name.parse::<f64>().ok().filter(|value| value.fract() == 0.0) {
                Some(value) => RawLabel::from_float(value).map(Some),
                None => Err(format!("{:?} is not a label id, but --label-type id is set", shortened(name))),
            },
            _ => Ok(Some(RawLabel::Name(name.to_owned()))),
        }
    }

    /// As a name, where all names of a map are numbers.
    #[must_use]
    pub fn by_name(self, map: &LabelMap) -> Self {
        let in_digits = |name: &String| name.parse::<i64>().is_ok_and(|number| number.to_string() == *name);
        match self {
            RawLabel::Id(id) if map.names().iter().all(in_digits) => RawLabel::Name(id.to_string()),
            label => label,
        }
    }

    /// The id in a map: of a name, or of a number that is one of its ids.
    pub fn id_in(&self, map: &LabelMap) -> Option<usize> {
        match self {
            RawLabel::Id(id) => usize::try_from(*id).ok().filter(|id| *id < map.num_labels()),
            // Names of the data have no spaces at their ends.
            RawLabel::Name(name) => {
                map.id(name).or_else(|| map.names().iter().position(|known| known.trim() == name))
            }
        }
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
    let mut label = label.try_map(|class| resolve_label(class, map, place, column))?;
    if let Label::Classes(ids) = &mut label {
        ids.sort_unstable();
        if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(DataError::value(place, column, format!("label {} occurs twice", pair[0])));
        }
    }
    Ok(label)
}

/// The class id of one class.
///
/// # Errors
/// [`DataError::Value`] at `place` for a name that `map` does not know, with those it knows and the
/// nearest, or for an id outside `0..C`.
pub fn resolve_label(label: &RawLabel, map: &LabelMap, place: &Place, column: &str) -> Result<i32, DataError> {
    label.id_in(map).and_then(|id| i32::try_from(id).ok()).ok_or_else(|| {
        let what = match label {
            RawLabel::Id(id) => format!("{id} is outside 0..{}", map.num_labels()),
            RawLabel::Name(name) => format!(
                "unknown label {name:?}; known labels: {}{}{}",
                name_list(map.names()),
                did_you_mean(&nearest(name, map.names())),
                if map.is_numbered() { NAMELESS } else { "" }
            ),
        };
        DataError::value(place, column, what)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use distill_task::TaskId;

    use super::*;
    use crate::error::At;

    fn name(name: &str) -> RawLabel {
        RawLabel::Name(name.to_owned())
    }

    #[test]
    fn cells_with_whole_numbers_are_ids_and_all_else_is_a_name() {
        let cell = |cell: &str| RawLabel::from_cell(cell, None).unwrap();
        for (text, id) in [("3", 3), ("3.0", 3), (" 0 ", 0), ("-1", -1)] {
            assert_eq!(cell(text), Some(RawLabel::Id(id)));
        }
        for text in ["3.5", "01", "+1", "-0", "ham", "99999999999999999999"] {
            assert_eq!(cell(&format!(" {text} ")), Some(name(text)));
        }
        assert_eq!(cell(" "), None);
        assert!(RawLabel::from_float(f64::NAN).is_err());
        assert!(RawLabel::from_float(0.5).is_err());
    }

    #[test]
    fn what_is_asked_for_decides_what_a_number_is() {
        let cell = RawLabel::from_cell;
        assert_eq!(cell(" 3.0", Some(LabelType::Name)), Ok(Some(name("3.0"))));
        assert_eq!(cell("01", Some(LabelType::Id)), Ok(Some(RawLabel::Id(1))));
        assert!(cell("x", Some(LabelType::Id)).unwrap_err().contains("--label-type id is set"));
        let listed = label_from_cell("['a']", TaskId::SINGLE_LABEL.into()).unwrap_err();
        assert!(listed.contains("looks like a list of labels"), "{listed}");
        let ask = Ask { label_type: Some(LabelType::Name), ..Ask::default() };
        assert_eq!(label_from_cell("['a']", ask), Ok(Some(Found::One(name("['a']")))));
    }

    #[test]
    fn cells_hold_several_names_or_a_number_where_the_model_asks_for_them() {
        let several = |cell| label_from_cell(cell, TaskId::MULTI_LABEL.into());
        let classes = |classes: Vec<RawLabel>, floats| Ok(Some(Found::Several(Several { classes, floats })));
        assert_eq!(several("joy | anger"), classes(vec![name("joy"), name("anger")], false));
        assert_eq!(several("['joy', 'anger']"), classes(vec![name("joy"), name("anger")], false));
        assert_eq!(several("joy"), classes(vec![name("joy")], false));
        assert_eq!(several("2|0"), classes(vec![RawLabel::Id(2), RawLabel::Id(0)], false));
        assert_eq!(several("[1.0, 0.0]"), classes(vec![RawLabel::Id(1), RawLabel::Id(0)], true));
        assert_eq!(several("|"), classes(vec![], false));
        assert_eq!(several("[]"), classes(vec![], false));
        assert_eq!(several(" "), Ok(None));
        assert_eq!(several("joy||anger").unwrap_err(), "an empty name among the labels");
        assert!(several("['a' 'b']").unwrap_err().contains("looks like a list, but there is no comma"));
        let number = |cell| label_from_cell(cell, TaskId::REGRESSION.into());
        assert_eq!(number(" -2.5 "), Ok(Some(Found::Number(-2.5))));
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
        assert!(error.ends_with(r#"known labels: "entity", "human"; did you mean "human"?"#), "{error}");
        assert!(resolve(RawLabel::Id(-1)).is_err());
        assert!(resolve(RawLabel::Id(i64::MAX)).is_err());
    }
}
