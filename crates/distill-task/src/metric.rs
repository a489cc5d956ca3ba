//! What epochs and students are compared by.

use serde::{Deserialize, Serialize};

use crate::id::TaskId;

/// A figure of the validation part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectionMetric {
    /// Share of labelled rows whose label is predicted.
    Accuracy,
    /// The training loss without dropout.
    Loss,
    /// F1 over all pairs of row and label, for several classes a row.
    MicroF1,
    /// Mean of the labels' F1.
    MacroF1,
    /// Mean squared error of a regression.
    Mse,
    /// Share of rows, or of words, where student and teacher predict the same. It needs no labels.
    Agreement,
    /// F1 of entities: type and both borders must be right.
    EntityF1,
    /// Share of labelled words whose tag is predicted.
    TokenAccuracy,
    /// Share of questions whose answer is right to the letter, after normalization.
    ExactMatch,
    /// Mean overlap of the words of predicted and right answers.
    F1,
}

/// Metric, name in settings and results, name for people.
const NAMES: [(SelectionMetric, &str, &str); 10] = [
    (SelectionMetric::Accuracy, "accuracy", "accuracy"),
    (SelectionMetric::Loss, "loss", "loss"),
    (SelectionMetric::MicroF1, "micro_f1", "micro F1"),
    (SelectionMetric::MacroF1, "macro_f1", "macro F1"),
    (SelectionMetric::Mse, "mse", "MSE"),
    (SelectionMetric::Agreement, "agreement", "agreement"),
    (SelectionMetric::EntityF1, "entity_f1", "entity F1"),
    (SelectionMetric::TokenAccuracy, "token_accuracy", "token accuracy"),
    (SelectionMetric::ExactMatch, "exact_match", "exact match"),
    (SelectionMetric::F1, "f1", "F1"),
];

impl SelectionMetric {
    /// Every metric.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|entry| entry.0)
    }

    fn entry(self) -> &'static (Self, &'static str, &'static str) {
        // The table is in the enum's order, which a test checks.
        &NAMES[self as usize]
    }

    /// Its name in settings and results.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// Its name for people.
    pub fn words(self) -> &'static str {
        self.entry().2
    }

    /// The metric that `auto` stands for: the task's first one, which labels alone decide.
    pub fn default_for(task: TaskId) -> Self {
        task.selection_metrics().first().copied().unwrap_or(SelectionMetric::Loss)
    }

    /// This metric; for the loss and for agreement the default instead. Labels alone decide it, so that it can compare two
    /// models whose losses differ.
    #[must_use]
    pub fn of_labels(self, task: TaskId) -> Self {
        match self {
            SelectionMetric::Loss | SelectionMetric::Agreement => Self::default_for(task),
            metric => metric,
        }
    }

    /// Whether a larger value is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, SelectionMetric::Loss | SelectionMetric::Mse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_a_metric_that_labels_alone_decide() {
        for task in TaskId::ALL {
            let default = SelectionMetric::default_for(task);
            assert_eq!(default.of_labels(task), default, "{task}");
            assert_eq!(SelectionMetric::Loss.of_labels(task), default);
        }
    }

    #[test]
    fn settings_and_results_use_one_name_and_the_table_is_in_order() {
        for (at, metric) in SelectionMetric::all().enumerate() {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert_eq!(metric as usize, at);
        }
    }
}
