//! The label map: which class a column of the logits means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::category::Category;

/// Label names in the order of the logits' columns: `config.json`'s `id2label`.
///
/// Serialized as `{"0": "ABBR", "1": "DESC"}`, as Hugging Face writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct LabelMap {
    names: Vec<String>,
}

/// A label map that cannot be used, or two that differ.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LabelError {
    /// Ids are not exactly `0..n`.
    #[error("label ids must be 0 to {last} without gaps or duplicates; found {found}")]
    Ids {
        /// The largest id that was expected.
        last: usize,
        /// The ids as they were given.
        found: String,
    },
    /// Two ids have the same name.
    #[error("label name {name:?} is used for two ids")]
    Twice {
        /// The repeated name.
        name: String,
    },
    /// There is no label at all.
    #[error("the label map is empty")]
    Empty,
    /// No row has a label, so no map can be made.
    #[error(
        "no row has a label; give the name of the label column (--label-column NAME; in a pipeline data.columns.label)"
    )]
    Unlabelled,
    /// Two maps that must agree do not.
    #[error("label maps differ: {left_name} has {left}, {right_name} has {right}")]
    Differ {
        /// The owner of the first map.
        left_name: String,
        /// The first map.
        left: String,
        /// The owner of the second map.
        right_name: String,
        /// The second map.
        right: String,
    },
}

impl LabelError {
    /// Always bad input data.
    pub fn category(&self) -> Category {
        Category::Data
    }
}

impl LabelMap {
    /// A map from names in the order of their ids.
    ///
    /// # Errors
    /// [`LabelError::Empty`] without names, [`LabelError::Twice`] where one repeats.
    pub fn new(names: impl IntoIterator<Item = impl Into<String>>) -> Result<Self, LabelError> {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if names.is_empty() {
            return Err(LabelError::Empty);
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(LabelError::Twice { name: pair[0].clone() });
        }
        Ok(LabelMap { names })
    }

    /// `LABEL_0` to `LABEL_{n-1}`: the names that `transformers` uses for a model without label names.
    ///
    /// # Errors
    /// [`LabelError::Empty`] for zero labels.
    pub fn numbered(num_labels: usize) -> Result<Self, LabelError> {
        Self::new((0..num_labels).map(|id| format!("LABEL_{id}")))
    }

    /// Number of labels, `C`.
    pub fn num_labels(&self) -> usize {
        self.names.len()
    }

    /// Names in the order of their ids.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The id of a name.
    pub fn id(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// The name of an id.
    pub fn name(&self, id: usize) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }

    /// True if no label has a real name: the map is [`LabelMap::numbered`].
    pub fn is_numbered(&self) -> bool {
        self.names.iter().enumerate().all(|(id, name)| *name == format!("LABEL_{id}"))
    }

    /// Checks that two maps are equal.
    ///
    /// # Errors
    /// [`LabelError::Differ`] with both maps and the names given for them.
    pub fn must_equal(&self, own_name: &str, other: &LabelMap, other_name: &str) -> Result<(), LabelError> {
        if self == other {
            return Ok(());
        }
        Err(LabelError::Differ {
            left_name: own_name.to_owned(),
            left: self.to_string(),
            right_name: other_name.to_owned(),
            right: other.to_string(),
        })
    }
}

impl std::fmt::Display for LabelMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 24;
        let shown: Vec<String> =
            self.names.iter().take(SHOWN).enumerate().map(|(id, name)| format!("{id}={name}")).collect();
        let rest = self.names.len().saturating_sub(SHOWN);
        let more = if rest > 0 { format!(", and {rest} more") } else { String::new() };
        write!(f, "{} labels ({}{more})", self.names.len(), shown.join(", "))
    }
}

impl TryFrom<BTreeMap<String, String>> for LabelMap {
    type Error = LabelError;

    fn try_from(map: BTreeMap<String, String>) -> Result<Self, LabelError> {
        let ids_error = || LabelError::Ids { last: map.len().saturating_sub(1), found: first_ids(&map) };
        let mut names = vec![None; map.len()];
        for (id, name) in &map {
            let slot = id.parse::<usize>().ok().and_then(|id| names.get_mut(id)).ok_or_else(ids_error)?;
            *slot = Some(name.clone());
        }
        LabelMap::new(names.into_iter().collect::<Option<Vec<_>>>().ok_or_else(ids_error)?)
    }
}

/// The first ids of a map that may be long.
fn first_ids(map: &BTreeMap<String, String>) -> String {
    const SHOWN: usize = 24;
    let shorten = |id: &String| id.chars().take(SHOWN).collect::<String>();
    let mut shown: Vec<String> = map.keys().take(SHOWN).map(shorten).collect();
    if map.len() > SHOWN {
        shown.push(format!("and {} more", map.len() - SHOWN));
    }
    shown.join(", ")
}

impl From<LabelMap> for BTreeMap<String, String> {
    fn from(map: LabelMap) -> Self {
        map.names.into_iter().enumerate().map(|(id, name)| (id.to_string(), name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_ids_are_ordered_as_numbers_not_as_text() {
        let names: Vec<String> = (0..12).map(|id| format!("label {id}")).collect();
        let map = LabelMap::new(names.clone()).unwrap();
        let json = serde_json::to_string(&map).unwrap();
        let back: LabelMap = serde_json::from_str(&json).unwrap();
        assert_eq!(back.names(), names);
    }

    #[test]
    fn gaps_and_repeats_are_refused() {
        let gap: Result<LabelMap, _> = serde_json::from_str(r#"{"0": "a", "2": "b"}"#);
        assert!(gap.unwrap_err().to_string().contains("without gaps or duplicates"));
        assert_eq!(LabelMap::new(["a", "a"]), Err(LabelError::Twice { name: "a".into() }));
        assert_eq!(LabelMap::new(Vec::<String>::new()), Err(LabelError::Empty));
    }

    #[test]
    fn a_difference_names_both_sides() {
        let left = LabelMap::new(["no", "yes"]).unwrap();
        let right = LabelMap::new(["yes", "no"]).unwrap();
        let text = left.must_equal("teacher", &right, "student").unwrap_err().to_string();
        assert!(text.contains("teacher has 2 labels (0=no, 1=yes)"), "{text}");
        assert!(text.contains("student has 2 labels (0=yes, 1=no)"), "{text}");
    }
}
