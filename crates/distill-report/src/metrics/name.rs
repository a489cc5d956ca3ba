//! The names of all metrics, as gates, JSON and tables write them.

use serde::{Deserialize, Serialize};

/// A metric. Its order here is the order in every table and file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of rows with the right label.
    Accuracy,
    /// F1 of entities over all types, as seqeval's default mode has it.
    EntityF1,
    /// Precision of entities over all types.
    EntityPrecision,
    /// Recall of entities over all types.
    EntityRecall,
    /// F1 of entities as seqeval's strict mode has it: only those whose tags all follow the scheme.
    StrictEntityF1,
    /// Precision of entities in strict mode.
    StrictEntityPrecision,
    /// Recall of entities in strict mode.
    StrictEntityRecall,
    /// Share of labelled words with the right tag.
    TokenAccuracy,
    /// Share of questions whose answer is right after normalisation.
    ExactMatch,
    /// Mean overlap of the words of predicted and right answers.
    #[serde(rename = "f1")]
    AnswerF1,
    /// Share of rows whose labels are all right, where rows have several; of rows of words those whose entities, or
    /// plain tags, are all right.
    SubsetAccuracy,
    /// Share of pairs of row and label that are wrong, where rows have several.
    HammingLoss,
    /// Mean recall over the classes that have rows.
    BalancedAccuracy,
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
    /// Mean precision over the rows, where they have several labels.
    SamplesPrecision,
    /// Mean recall over the rows, where they have several labels.
    SamplesRecall,
    /// Mean F1 over the rows, where they have several labels.
    SamplesF1,
    /// Matthews correlation coefficient.
    Mcc,
    /// Cohen's kappa.
    CohenKappa,
    /// Area under the ROC curve; the mean over one-vs-rest curves with more than two classes.
    RocAuc,
    /// The same weighted by the classes' support; with more than two classes only.
    RocAucWeighted,
    /// Average precision; the mean over one-vs-rest curves with more than two classes.
    AveragePrecision,
    /// Share of rows whose label is among the three largest logits; with more than three classes only.
    #[serde(rename = "top_3")]
    Top3,
    /// Share of rows whose label is among the five largest logits; with more than five classes only.
    #[serde(rename = "top_5")]
    Top5,
    /// Mean negative log of the probability given to the label, in nats.
    LogLoss,
    /// Mean squared distance of the probabilities from the label.
    Brier,
    /// Expected calibration error, 15 bins of equal width.
    Ece,
    /// Largest calibration error of a bin.
    Mce,
    /// ECE after the logits are divided by the temperature that fits these rows best.
    EceScaled,
    /// Share of a regression's variance that is explained.
    R2,
    /// The same without what a constant offset costs.
    ExplainedVariance,
    /// Pearson's correlation with the labels of a regression.
    Pearson,
    /// Spearman's correlation with the labels of a regression.
    Spearman,
    /// Mean squared error of a regression.
    Mse,
    /// Its root.
    Rmse,
    /// Mean absolute error of a regression.
    Mae,
    /// Largest absolute error of a regression.
    MaxError,
    /// Share of rows where model and teacher predict the same label, or labels; of words where they have a tag each.
    Agreement,
    /// KL(teacher ‖ model) at temperature 1, mean over rows, or over words where they have a tag each, in nats.
    Kl,
    /// Mean squared distance from the teacher's values, of a regression.
    TeacherMse,
}

/// Metric, name, title, whether more is better.
type Entry = (Metric, &'static str, &'static str, bool);

#[rustfmt::skip]
const ENTRIES: [Entry; 48] = [
    (Metric::Accuracy, "accuracy", "accuracy", true),
    (Metric::EntityF1, "entity_f1", "entity F1", true),
    (Metric::EntityPrecision, "entity_precision", "entity precision", true),
    (Metric::EntityRecall, "entity_recall", "entity recall", true),
    (Metric::StrictEntityF1, "strict_entity_f1", "entity F1, strict", true),
    (Metric::StrictEntityPrecision, "strict_entity_precision", "entity precision, strict", true),
    (Metric::StrictEntityRecall, "strict_entity_recall", "entity recall, strict", true),
    (Metric::TokenAccuracy, "token_accuracy", "token accuracy", true),
    (Metric::ExactMatch, "exact_match", "exact match", true),
    (Metric::AnswerF1, "f1", "answer F1", true),
    (Metric::SubsetAccuracy, "subset_accuracy", "subset accuracy", true),
    (Metric::HammingLoss, "hamming_loss", "Hamming loss", false),
    (Metric::BalancedAccuracy, "balanced_accuracy", "balanced accuracy", true),
    (Metric::MacroPrecision, "macro_precision", "macro precision", true),
    (Metric::MacroRecall, "macro_recall", "macro recall", true),
    (Metric::MacroF1, "macro_f1", "macro F1", true),
    (Metric::MicroPrecision, "micro_precision", "micro precision", true),
    (Metric::MicroRecall, "micro_recall", "micro recall", true),
    (Metric::MicroF1, "micro_f1", "micro F1", true),
    (Metric::WeightedPrecision, "weighted_precision", "weighted precision", true),
    (Metric::WeightedRecall, "weighted_recall", "weighted recall", true),
    (Metric::WeightedF1, "weighted_f1", "weighted F1", true),
    (Metric::SamplesPrecision, "samples_precision", "samples precision", true),
    (Metric::SamplesRecall, "samples_recall", "samples recall", true),
    (Metric::SamplesF1, "samples_f1", "samples F1", true),
    (Metric::Mcc, "mcc", "MCC", true),
    (Metric::CohenKappa, "cohen_kappa", "Cohen's kappa", true),
    (Metric::RocAuc, "roc_auc", "ROC AUC", true),
    (Metric::RocAucWeighted, "roc_auc_weighted", "ROC AUC, weighted", true),
    (Metric::AveragePrecision, "average_precision", "average precision", true),
    (Metric::Top3, "top_3", "top 3", true),
    (Metric::Top5, "top_5", "top 5", true),
    (Metric::LogLoss, "log_loss", "log-loss", false),
    (Metric::Brier, "brier", "Brier", false),
    (Metric::Ece, "ece", "ECE", false),
    (Metric::Mce, "mce", "MCE", false),
    (Metric::EceScaled, "ece_scaled", "ECE, scaled", false),
    (Metric::R2, "r2", "R2", true),
    (Metric::ExplainedVariance, "explained_variance", "explained variance", true),
    (Metric::Pearson, "pearson", "Pearson", true),
    (Metric::Spearman, "spearman", "Spearman", true),
    (Metric::Mse, "mse", "MSE", false),
    (Metric::Rmse, "rmse", "RMSE", false),
    (Metric::Mae, "mae", "MAE", false),
    (Metric::MaxError, "max_error", "largest error", false),
    (Metric::Agreement, "agreement", "agreement", true),
    (Metric::Kl, "kl", "KL", false),
    (Metric::TeacherMse, "teacher_mse", "MSE to teacher", false),
];

impl Metric {
    /// Every metric, in order.
    pub fn all() -> impl Iterator<Item = Metric> {
        ENTRIES.iter().map(|entry| entry.0)
    }

    fn entry(self) -> &'static Entry {
        // The table is in the enum's order, which a test holds it to.
        &ENTRIES[self as usize]
    }

    /// The name in gates and JSON.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// The name in tables.
    pub fn title(self) -> &'static str {
        self.entry().2
    }

    /// True where more is better.
    pub fn higher_is_better(self) -> bool {
        self.entry().3
    }

    /// True where the metric compares a model with its teacher, so that the teacher itself has none.
    pub fn needs_teacher(self) -> bool {
        matches!(self, Metric::Agreement | Metric::Kl | Metric::TeacherMse)
    }

    /// True where only entities have it.
    pub fn is_of_entities(self) -> bool {
        matches!(
            self,
            Metric::EntityF1
                | Metric::EntityPrecision
                | Metric::EntityRecall
                | Metric::StrictEntityF1
                | Metric::StrictEntityPrecision
                | Metric::StrictEntityRecall
        )
    }

    /// The metric of a name.
    pub fn parse(name: &str) -> Option<Metric> {
        Self::all().find(|metric| metric.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_gates_use_the_same_names_and_the_table_is_in_order() {
        for (at, metric) in Metric::all().enumerate() {
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("{:?}", metric.name()));
            assert_eq!(Metric::parse(metric.name()), Some(metric));
            assert_eq!(metric as usize, at);
        }
    }
}
