//! A number a row.

use super::Kind;
use crate::build::judgement::Judgement;
use crate::build::kinds::{OfMeans, regression};
use crate::metrics::Metric;
use crate::predictions::Predictions;

/// A row has a number.
pub(super) struct Number;

impl Kind for Number {
    fn metrics(&self) -> &'static [Metric] {
        &[
            Metric::R2,
            Metric::ExplainedVariance,
            Metric::Pearson,
            Metric::Spearman,
            Metric::Mse,
            Metric::Rmse,
            Metric::Mae,
            Metric::MaxError,
            Metric::TeacherMse,
        ]
    }

    fn headlines(&self, _has_entities: bool) -> [Metric; 2] {
        [Metric::R2, Metric::Rmse]
    }

    fn third(&self) -> Option<Metric> {
        Some(Metric::Spearman)
    }

    fn columns(&self) -> &'static [Metric] {
        &[Metric::R2, Metric::Rmse, Metric::Spearman, Metric::TeacherMse]
    }

    fn card(&self) -> &'static [Metric] {
        &[Metric::R2, Metric::Pearson, Metric::Spearman, Metric::Rmse, Metric::Mae]
    }

    fn introduction(&self, _labels: usize, _names: &str) -> String {
        "A model that gives a text a number.".to_owned()
    }

    fn slice_metric(&self) -> Metric {
        Metric::Mae
    }

    fn has_distances(&self) -> bool {
        true
    }

    fn judge<'a>(&self, models: &'a [Predictions], teacher: Option<&Predictions>) -> Box<dyn Judgement + 'a> {
        Box::new(OfMeans::new(models, teacher, &regression::Regression))
    }
}
