//! Which task `[data] task` names.

use distill_task::{Positions, TaskId};
use serde::{Deserialize, Deserializer, Serialize};

use super::DataSettings;

/// One task, or all that share a head, such as `sequence_classification`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskName(String);

impl TaskName {
    /// The task, if the name leaves no choice.
    pub fn only(&self) -> Option<TaskId> {
        match TaskId::matching(&self.0).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Whether the name stands for this task.
    pub fn includes(&self, task: TaskId) -> bool {
        TaskId::matching(&self.0).contains(&task)
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TaskName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let matching = TaskId::matching(&name);
        if let [only] = matching.as_slice()
            && only.positions() == Positions::Masked
        {
            return Err(no_rows(*only));
        }
        if matching.is_empty() {
            let mut known: Vec<&str> = TaskId::ALL
                .iter()
                .filter(|task| task.positions() != Positions::Masked)
                .flat_map(|task| [task.group(), task.name()])
                .collect();
            known.sort_unstable();
            known.dedup();
            return Err(format!("task is {name:?}; expected one of {}", known.join(", ")));
        }
        Ok(TaskName(name))
    }
}

/// Why rows are not for a task.
fn no_rows(task: TaskId) -> String {
    format!("{task} is learned from texts alone: use distill pretrain, or [pretrain] in a pipeline")
}

impl From<TaskName> for String {
    fn from(name: TaskName) -> Self {
        name.0
    }
}

impl DataSettings {
    /// Makes `problem_type` the only setting that names a task: `task` stays only where it leaves a choice.
    ///
    /// # Errors
    /// A sentence with both where they disagree.
    fn settle_task(mut self) -> Result<Self, String> {
        if let Some(task) = self.problem_type.filter(|task| task.positions() == Positions::Masked) {
            return Err(no_rows(task));
        }
        let Some(name) = self.task.take() else { return Ok(self) };
        match (self.problem_type, name.only()) {
            (Some(other), _) if !name.includes(other) => {
                return Err(format!("data.task is {}, but data.problem_type is {other}", name.as_str()));
            }
            (None, Some(only)) => self.problem_type = Some(only),
            (None, None) => self.task = Some(name),
            (Some(_), _) => {}
        }
        Ok(self)
    }
}

/// `[data]`, with its task settled.
pub(super) fn settled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataSettings, D::Error> {
    DataSettings::deserialize(deserializer)?.settle_task().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::*;

    fn data(text: &str) -> Result<DataSettings, String> {
        let settings = toml::from_str::<Settings>(&format!("[data]\n{text}\n"));
        settings.map(|settings| settings.data).map_err(|error| error.to_string())
    }

    #[test]
    fn a_task_is_one_or_a_group_and_must_agree_with_the_problem_type() {
        let tokens = data("task = \"token_classification\"").unwrap();
        assert_eq!((tokens.task, tokens.problem_type), (None, Some(TaskId::TOKEN_CLASSIFICATION)));
        let rows = data("task = \"sequence_classification\"").unwrap();
        assert!(rows.problem_type.is_none() && rows.task.unwrap().includes(TaskId::REGRESSION));
        let both = data("task = \"sequence_classification\"\nproblem_type = \"regression\"").unwrap();
        assert_eq!((both.task, both.problem_type), (None, Some(TaskId::REGRESSION)));
        let error = data("task = \"token_classification\"\nproblem_type = \"regression\"").unwrap_err();
        assert!(
            error.contains("data.task is token_classification, but data.problem_type is regression"),
            "{error}"
        );
        for line in ["task = \"masked_language_modeling\"", "problem_type = \"masked_language_modeling\""] {
            assert!(data(line).unwrap_err().contains("distill pretrain"), "{line}");
        }
        let error = data("task = \"ner\"").unwrap_err();
        assert!(error.contains("expected one of") && error.contains("token_classification"), "{error}");
    }
}
