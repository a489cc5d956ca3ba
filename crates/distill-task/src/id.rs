//! The handle of a task.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::task::Task;
use crate::tasks::{
    MaskedLanguageModeling, MultiLabel, QuestionAnswering, Regression, SingleLabel, TokenClassification,
};

/// One of the tasks. It is written as its name; two are equal where their names are.
#[derive(Clone, Copy)]
pub struct TaskId(&'static dyn Task);

impl TaskId {
    /// `single_label_classification`: a row has one class.
    pub const SINGLE_LABEL: Self = TaskId(&SingleLabel);
    /// `multi_label_classification`: a row has any number of classes.
    pub const MULTI_LABEL: Self = TaskId(&MultiLabel);
    /// `regression`: a row has a number.
    pub const REGRESSION: Self = TaskId(&Regression);
    /// `token_classification`: each word has a class.
    pub const TOKEN_CLASSIFICATION: Self = TaskId(&TokenClassification);
    /// `question_answering`: a part of a text answers a question.
    pub const QUESTION_ANSWERING: Self = TaskId(&QuestionAnswering);

    /// `masked_language_modeling`: each masked token is predicted.
    pub const MASKED_LANGUAGE_MODELING: Self = TaskId(&MaskedLanguageModeling);

    /// Every task.
    pub const ALL: [Self; 6] = [
        Self::SINGLE_LABEL,
        Self::MULTI_LABEL,
        Self::REGRESSION,
        Self::TOKEN_CLASSIFICATION,
        Self::QUESTION_ANSWERING,
        Self::MASKED_LANGUAGE_MODELING,
    ];

    /// The task of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The task of a `problem_type` in `config.json`.
    pub fn of_problem_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.problem_type() == Some(name))
    }

    /// The tasks that a name on the command line may mean: one by its own name, or all of its group.
    pub fn matching(name: &str) -> Vec<Self> {
        Self::ALL.into_iter().filter(|known| known.name() == name || known.group() == name).collect()
    }

    /// True for one class a row: files that are older than the other tasks do not name it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for TaskId {
    fn default() -> Self {
        Self::SINGLE_LABEL
    }
}

impl Deref for TaskId {
    type Target = dyn Task;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for TaskId {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for TaskId {}

impl Hash for TaskId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for TaskId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const NAMES: &[&str] = &[
            "single_label_classification",
            "multi_label_classification",
            "regression",
            "token_classification",
            "question_answering",
            "masked_language_modeling",
        ];
        let name = String::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| de::Error::unknown_variant(&name, NAMES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_messages_use_one_name() {
        for known in TaskId::ALL {
            assert_eq!(serde_json::to_value(known).unwrap(), known.name());
            assert_eq!(serde_json::from_value::<TaskId>(known.name().into()).unwrap(), known);
            assert_eq!(TaskId::named(&known.to_string()), Some(known));
        }
        let error = serde_json::from_value::<TaskId>("ranking".into()).unwrap_err().to_string();
        for known in TaskId::ALL {
            assert!(error.contains(known.name()), "{error}");
        }
    }

    /// `problem_type` in `config.json` and fingerprints, whatever else changes.
    #[test]
    fn problem_types_are_those_of_transformers() {
        let names = ["single_label_classification", "multi_label_classification", "regression"];
        assert_eq!(names.map(|name| TaskId::of_problem_type(name).map(|task| task.name())), names.map(Some));
        assert_eq!(TaskId::of_problem_type("token_classification"), None);
    }

    #[test]
    fn sequence_classification_stands_for_the_three_tasks_of_its_head() {
        let found = TaskId::matching("sequence_classification");
        assert_eq!(found, [TaskId::SINGLE_LABEL, TaskId::MULTI_LABEL, TaskId::REGRESSION]);
        assert!(found.iter().all(|task| task.head() == "ForSequenceClassification"));
        assert_eq!(TaskId::matching("token_classification"), [TaskId::TOKEN_CLASSIFICATION]);
        assert_eq!(TaskId::matching("regression"), [TaskId::REGRESSION]);
        assert!(TaskId::matching("ranking").is_empty());
    }
}
