//! What the best epoch is chosen by.

use distill_core::ProblemType;
use serde::{Deserialize, Serialize};

/// A figure of the validation part by which epochs, and students, are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of labelled rows whose label is predicted.
    Accuracy,
    /// The training loss without dropout.
    Loss,
    /// F1 over all pairs of row and label, for several classes a row.
    MicroF1,
    /// Mean of the labels' F1, for several classes a row.
    MacroF1,
    /// Mean squared error of a regression.
    Mse,
    /// Share of rows where student and teacher predict the same. It needs no labels.
    Agreement,
}

impl Metric {
    /// The metric of `auto`: one that depends only on labels.
    pub fn default_for(problem_type: ProblemType) -> Self {
        match problem_type {
            ProblemType::SingleLabel => Metric::Accuracy,
            ProblemType::MultiLabel => Metric::MicroF1,
            ProblemType::Regression => Metric::Mse,
        }
    }

    /// This metric; for the loss and for agreement the default instead. Labels alone decide it, so that it can compare two
    /// models whose losses differ.
    #[must_use]
    pub fn of_labels(self, problem_type: ProblemType) -> Self {
        match self {
            Metric::Loss | Metric::Agreement => Self::default_for(problem_type),
            metric => metric,
        }
    }

    /// Its name in settings and results.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Loss => "loss",
            Metric::MicroF1 => "micro_f1",
            Metric::MacroF1 => "macro_f1",
            Metric::Mse => "mse",
            Metric::Agreement => "agreement",
        }
    }

    /// Its name for people.
    pub fn words(self) -> &'static str {
        match self {
            Metric::MicroF1 => "micro F1",
            Metric::MacroF1 => "macro F1",
            Metric::Mse => "MSE",
            Metric::Accuracy | Metric::Loss | Metric::Agreement => self.name(),
        }
    }

    /// Whether a larger value is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Metric::Loss | Metric::Mse)
    }
}
