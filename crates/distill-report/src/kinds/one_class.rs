//! One class a row.

use super::Kind;
use crate::build::judgement::Judgement;
use crate::build::one_class;
use crate::metrics::Metric;
use crate::predictions::Predictions;

/// A row has one of the classes.
pub(super) struct OneClass;

impl Kind for OneClass {
    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric::Accuracy,
            Metric::BalancedAccuracy,
            Metric::MacroPrecision,
            Metric::MacroRecall,
            Metric::MacroF1,
            Metric::MicroPrecision,
            Metric::MicroRecall,
            Metric::MicroF1,
            Metric::WeightedPrecision,
            Metric::WeightedRecall,
            Metric::WeightedF1,
            Metric::Mcc,
            Metric::CohenKappa,
            Metric::RocAuc,
            Metric::RocAucWeighted,
            Metric::AveragePrecision,
            Metric::Top3,
            Metric::Top5,
            Metric::LogLoss,
            Metric::Brier,
            Metric::Ece,
            Metric::Mce,
            Metric::EceScaled,
            Metric::Agreement,
            Metric::Kl,
        ]
    }

    fn headlines(&self, _has_entities: bool) -> [Metric; 2] {
        [Metric::Accuracy, Metric::MacroF1]
    }

    fn third(&self) -> Option<Metric> {
        Some(Metric::LogLoss)
    }

    fn columns(&self) -> &'static [Metric] {
        &[Metric::Accuracy, Metric::MacroF1, Metric::WeightedF1, Metric::Agreement, Metric::Kl, Metric::Ece]
    }

    fn card(&self) -> &'static [Metric] {
        &[Metric::Accuracy, Metric::MacroF1, Metric::WeightedF1, Metric::Mcc, Metric::LogLoss, Metric::Ece]
    }

    fn introduction(&self, labels: usize, names: &str) -> String {
        format!("A text classifier with {labels} labels: {names}.")
    }

    fn slice_metric(&self) -> Metric {
        Metric::Accuracy
    }

    fn has_one_class(&self) -> bool {
        true
    }

    fn judge<'a>(&self, models: &'a [Predictions], teacher: Option<&Predictions>) -> Box<dyn Judgement + 'a> {
        Box::new(one_class::OneClass::new(models, teacher))
    }
}
