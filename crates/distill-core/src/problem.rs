//! What a model's logits mean, and so what a row's label is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a model's logits mean, with `transformers`' names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProblemType {
    /// `single_label_classification`: softmax over the labels; a row has one class.
    #[default]
    #[serde(rename = "single_label_classification")]
    SingleLabel,
    /// `multi_label_classification`: a sigmoid for each label; a row has any number of classes.
    #[serde(rename = "multi_label_classification")]
    MultiLabel,
    /// `regression`: the value itself; a row has a number.
    #[serde(rename = "regression")]
    Regression,
}

impl ProblemType {
    /// The name in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            ProblemType::SingleLabel => "single_label_classification",
            ProblemType::MultiLabel => "multi_label_classification",
            ProblemType::Regression => "regression",
        }
    }

    /// The type of a name.
    pub fn named(name: &str) -> Option<Self> {
        [ProblemType::SingleLabel, ProblemType::MultiLabel, ProblemType::Regression]
            .into_iter()
            .find(|known| known.name() == name)
    }

    /// True for one class a row: files that are older than the other types do not say it.
    pub fn is_single_label(&self) -> bool {
        *self == ProblemType::SingleLabel
    }
}

impl fmt::Display for ProblemType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a row is labelled with, of classes `C`: as they stand in data, or their ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label<C> {
    /// One class.
    Class(C),
    /// Any number of classes, each once.
    Classes(Vec<C>),
    /// A finite number.
    Value(f64),
}

impl<C> Label<C> {
    /// The classes, of which a number has none.
    pub fn classes(&self) -> &[C] {
        match self {
            Label::Class(class) => std::slice::from_ref(class),
            Label::Classes(classes) => classes,
            Label::Value(_) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_messages_use_the_names_of_transformers() {
        for known in [ProblemType::SingleLabel, ProblemType::MultiLabel, ProblemType::Regression] {
            assert_eq!(serde_json::to_value(known).unwrap(), known.name());
            assert_eq!(ProblemType::named(&known.to_string()), Some(known));
        }
    }
}
