//! A label as a reader finds it in one row, before anything is known of the other rows.

use distill_task::{Span, TaskId};
use serde::{Deserialize, Serialize};

use super::answers::Answer;
use super::labels::RawLabel;

/// How labels are to be read where the data leave more than one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelType {
    /// Every label is the name of a class, also one in digits.
    Name,
    /// Every label is the id of a class: a whole number.
    Id,
    /// A row's list has a 0 or 1 for each class.
    MultiHot,
}

/// What is asked of labels before they are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    pub problem_type: TaskId,
    pub label_type: Option<LabelType>,
}

impl From<TaskId> for Ask {
    fn from(problem_type: TaskId) -> Self {
        Ask { problem_type, label_type: None }
    }
}

/// What stands in a row's label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// One class.
    One(RawLabel),
    /// A list: classes, or a 0 or 1 for each.
    Several(Several),
    /// A finite number.
    Number(f64),
    /// A class for each word, none where a word has none; at least one has one.
    Tags(Vec<Option<RawLabel>>),
    /// Answers as the data have them, before they are looked for in their text.
    Answers(Vec<Answer>),
    /// Where in its text each answer is, in characters; empty where the text has none.
    Spans(Vec<Span>),
}

/// The values of a list, in their order; they may repeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Several {
    pub classes: Vec<RawLabel>,
    /// Whether any is written as a floating-point number.
    pub floats: bool,
}

impl Several {
    /// From values of which none is missing.
    ///
    /// # Errors
    /// An empty name.
    pub fn of(classes: impl Iterator<Item = Result<Option<RawLabel>, String>>) -> Result<Self, String> {
        let classes = classes.map(|class| class?.ok_or_else(|| "an empty name among the labels".to_owned()));
        Ok(Several { classes: classes.collect::<Result<_, _>>()?, floats: false })
    }

    /// The first value that is repeated.
    pub fn repeated(&self) -> Option<&RawLabel> {
        let mut seen = std::collections::BTreeSet::new();
        self.classes.iter().find(|class| !seen.insert(*class))
    }

    /// Whether they can only be a 0 or 1 for each class.
    pub fn is_vector(&self) -> bool {
        self.is_bits() && (self.floats || self.repeated().is_some())
    }

    /// Whether every value is 0 or 1.
    pub fn is_bits(&self) -> bool {
        self.classes.iter().all(|class| matches!(class, RawLabel::Id(0 | 1)))
    }
}
