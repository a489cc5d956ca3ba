//! A tag for each word: entities, or plain tags.

use distill_task::tags::TagSet;

use super::Kind;
use crate::build::judgement::Judgement;
use crate::build::kinds::{OfMeans, tagged};
use crate::metrics::Metric;
use crate::predictions::Predictions;

/// Each word of a row has a tag.
pub(super) struct Tags;

impl Kind for Tags {
    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric::EntityF1,
            Metric::EntityPrecision,
            Metric::EntityRecall,
            Metric::StrictEntityF1,
            Metric::StrictEntityPrecision,
            Metric::StrictEntityRecall,
            Metric::TokenAccuracy,
            Metric::SubsetAccuracy,
            Metric::MacroPrecision,
            Metric::MacroRecall,
            Metric::MacroF1,
            Metric::WeightedPrecision,
            Metric::WeightedRecall,
            Metric::WeightedF1,
            Metric::Agreement,
            Metric::Kl,
        ]
    }

    fn headlines(&self, has_entities: bool) -> [Metric; 2] {
        match has_entities {
            true => [Metric::EntityF1, Metric::TokenAccuracy],
            false => [Metric::TokenAccuracy, Metric::MacroF1],
        }
    }

    fn third(&self) -> Option<Metric> {
        Some(Metric::SubsetAccuracy)
    }

    fn columns(&self) -> &'static [Metric] {
        &[
            Metric::EntityF1,
            Metric::EntityPrecision,
            Metric::EntityRecall,
            Metric::TokenAccuracy,
            Metric::MacroF1,
            Metric::WeightedF1,
            Metric::Agreement,
            Metric::Kl,
        ]
    }

    fn card(&self) -> &'static [Metric] {
        &[
            Metric::EntityF1,
            Metric::EntityPrecision,
            Metric::EntityRecall,
            Metric::TokenAccuracy,
            Metric::SubsetAccuracy,
            Metric::MacroF1,
            Metric::WeightedF1,
        ]
    }

    fn introduction(&self, labels: usize, names: &str) -> String {
        format!("A model that gives each word one of {labels} tags: {names}.")
    }

    fn slice_metric(&self) -> Metric {
        Metric::SubsetAccuracy
    }

    fn counted(&self, has_entities: bool) -> &'static str {
        if has_entities { "entities" } else { "words" }
    }

    fn tags(&self, labels: &[String]) -> Option<TagSet> {
        TagSet::new(labels).ok()
    }

    fn judge<'a>(&self, models: &'a [Predictions], teacher: Option<&Predictions>) -> Box<dyn Judgement + 'a> {
        Box::new(OfMeans::new(models, teacher, &tagged::Tagged))
    }
}
