//! The names of all metrics, as gates, JSON and tables write them.

use serde::{Deserialize, Serialize};

/// A metric. Its order here is the order in every table and file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of rows with the right label.
    Accuracy,
    /// Mean precision over the classes.
    MacroPrecision,
    /// Mean recall over the classes.
    MacroRecall,
    /// Mean F1 over the classes.
    MacroF1,
    /// Precision over all rows; with one label a row it is the accuracy.
    MicroPrecision,
    /// Recall over all rows; with one label a row it is the accuracy.
    MicroRecall,
    /// F1 over all rows; with one label a row it is the accuracy.
    MicroF1,
    /// Precision averaged with the classes' support as weight.
    WeightedPrecision,
    /// Recall averaged with the classes' support as weight.
    WeightedRecall,
    /// F1 averaged with the classes' support as weight.
    WeightedF1,
    /// Share of rows where model and teacher predict the same label.
    Agreement,
    /// KL(teacher ‖ model) at temperature 1, mean over rows, in nats.
    Kl,
}

impl Metric {
    /// Every metric, in order.
    pub const ALL: [Metric; 12] = [
        Metric::Accuracy,
        Metric::MacroPrecision,
        Metric::MacroRecall,
        Metric::MacroF1,
        Metric::MicroPrecision,
        Metric::MicroRecall,
        Metric::MicroF1,
        Metric::WeightedPrecision,
        Metric::WeightedRecall,
        Metric::WeightedF1,
        Metric::Agreement,
        Metric::Kl,
    ];

    /// The name in gates and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::MacroPrecision => "macro_precision",
            Metric::MacroRecall => "macro_recall",
            Metric::MacroF1 => "macro_f1",
            Metric::MicroPrecision => "micro_precision",
            Metric::MicroRecall => "micro_recall",
            Metric::MicroF1 => "micro_f1",
            Metric::WeightedPrecision => "weighted_precision",
            Metric::WeightedRecall => "weighted_recall",
            Metric::WeightedF1 => "weighted_f1",
            Metric::Agreement => "agreement",
            Metric::Kl => "kl",
        }
    }

    /// The name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::MacroPrecision => "macro precision",
            Metric::MacroRecall => "macro recall",
            Metric::MacroF1 => "macro F1",
            Metric::MicroPrecision => "micro precision",
            Metric::MicroRecall => "micro recall",
            Metric::MicroF1 => "micro F1",
            Metric::WeightedPrecision => "weighted precision",
            Metric::WeightedRecall => "weighted recall",
            Metric::WeightedF1 => "weighted F1",
            Metric::Agreement => "agreement",
            Metric::Kl => "KL",
        }
    }

    /// True where more is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Metric::Kl)
    }

    /// True where the metric compares a model with its teacher, so that the teacher itself has none.
    pub fn needs_teacher(self) -> bool {
        matches!(self, Metric::Agreement | Metric::Kl)
    }

    /// The metric of a name.
    pub fn parse(name: &str) -> Option<Metric> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_gates_use_the_same_names_and_all_is_complete() {
        for (at, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("{:?}", metric.name()));
            assert_eq!(Metric::parse(metric.name()), Some(metric));
            assert_eq!(metric as usize, at);
        }
    }
}
