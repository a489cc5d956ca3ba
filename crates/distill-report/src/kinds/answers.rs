//! Answers that are a part of a text.

use super::Kind;
use crate::build::judgement::Judgement;
use crate::build::kinds::{OfMeans, answered};
use crate::metrics::Metric;
use crate::predictions::Predictions;

/// A question is answered with a part of a text, or with "no answer".
pub(super) struct Answers;

impl Kind for Answers {
    fn metrics(&self) -> &'static [Metric] {
        &[Metric::ExactMatch, Metric::AnswerF1, Metric::Agreement]
    }

    fn headlines(&self, _has_entities: bool) -> [Metric; 2] {
        [Metric::AnswerF1, Metric::ExactMatch]
    }

    fn third(&self) -> Option<Metric> {
        None
    }

    fn columns(&self) -> &'static [Metric] {
        &[Metric::AnswerF1, Metric::ExactMatch, Metric::Agreement]
    }

    fn card(&self) -> &'static [Metric] {
        &[Metric::ExactMatch, Metric::AnswerF1]
    }

    fn introduction(&self, _labels: usize, _names: &str) -> String {
        "A model that finds the answer to a question in a text.".to_owned()
    }

    fn slice_metric(&self) -> Metric {
        Metric::ExactMatch
    }

    fn judge<'a>(&self, models: &'a [Predictions], teacher: Option<&Predictions>) -> Box<dyn Judgement + 'a> {
        Box::new(OfMeans::new(models, teacher, &answered::Answered))
    }
}
