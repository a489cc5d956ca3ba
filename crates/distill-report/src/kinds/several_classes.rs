//! Any number of classes a row.

use super::Kind;
use crate::build::judgement::Judgement;
use crate::build::kinds::{OfMeans, multi_label};
use crate::metrics::Metric;
use crate::predictions::Predictions;

/// A row has any number of the classes.
pub(super) struct SeveralClasses;

impl Kind for SeveralClasses {
    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric::SubsetAccuracy,
            Metric::HammingLoss,
            Metric::MacroPrecision,
            Metric::MacroRecall,
            Metric::MacroF1,
            Metric::MicroPrecision,
            Metric::MicroRecall,
            Metric::MicroF1,
            Metric::WeightedPrecision,
            Metric::WeightedRecall,
            Metric::WeightedF1,
            Metric::SamplesPrecision,
            Metric::SamplesRecall,
            Metric::SamplesF1,
            Metric::RocAuc,
            Metric::AveragePrecision,
            Metric::LogLoss,
            Metric::Agreement,
            Metric::Kl,
        ]
    }

    fn headlines(&self, _has_entities: bool) -> [Metric; 2] {
        [Metric::MicroF1, Metric::MacroF1]
    }

    fn third(&self) -> Option<Metric> {
        Some(Metric::LogLoss)
    }

    fn columns(&self) -> &'static [Metric] {
        &[Metric::MicroF1, Metric::MacroF1, Metric::WeightedF1, Metric::Agreement, Metric::Kl]
    }

    fn card(&self) -> &'static [Metric] {
        &[Metric::SubsetAccuracy, Metric::MicroF1, Metric::MacroF1, Metric::WeightedF1, Metric::LogLoss]
    }

    fn introduction(&self, labels: usize, names: &str) -> String {
        format!("A text classifier with {labels} labels, any number of them a text: {names}.")
    }

    fn slice_metric(&self) -> Metric {
        Metric::SubsetAccuracy
    }

    fn judge<'a>(&self, models: &'a [Predictions], teacher: Option<&Predictions>) -> Box<dyn Judgement + 'a> {
        Box::new(OfMeans::new(models, teacher, &multi_label::MultiLabel))
    }
}
