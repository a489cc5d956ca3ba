//! What a report has of each kind of label: a file a kind. Nothing else in this crate asks what rows are labelled with.
//!
//! A kind says which metrics there are, which of them say most, which the tables of models and the model card list, what
//! slices are compared by, and how models are judged (`build/kinds/` has the arithmetic).

mod answers;
mod number;
mod one_class;
mod several_classes;
mod tags;

use distill_task::tags::TagSet;
use distill_task::{LabelShape, TaskId};

use crate::build::judgement::Judgement;
use crate::metrics::Metric;
use crate::predictions::Predictions;

/// A kind of label. There is one value of each, which [`of`] gives.
pub(crate) trait Kind: Sync {
    /// Every metric that a report may have; on some rows one may be undefined all the same.
    fn metrics(&self) -> &'static [Metric];

    /// The metric that says most about a model, and the one next to it. `has_entities` is true where tags write entities.
    fn headlines(&self, has_entities: bool) -> [Metric; 2];

    /// A third metric that differences and seeds are shown by.
    fn third(&self) -> Option<Metric>;

    /// Columns of the table of models, in their order.
    fn columns(&self) -> &'static [Metric];

    /// Metrics that a model card lists.
    fn card(&self) -> &'static [Metric];

    /// What a model of this kind is, for its card: the number of labels and their names.
    fn introduction(&self, labels: usize, names: &str) -> String;

    /// What slices are compared by.
    fn slice_metric(&self) -> Metric;

    /// What the classes count: rows, entities or words.
    fn counted(&self, _has_entities: bool) -> &'static str {
        "rows"
    }

    /// True where a row has one of the classes, so that a report needs two of them.
    fn has_one_class(&self) -> bool {
        false
    }

    /// True where rows are further off or nearer, instead of right or wrong.
    fn has_distances(&self) -> bool {
        false
    }

    /// The labels as tags, where they are any.
    fn tags(&self, _labels: &[String]) -> Option<TagSet> {
        None
    }

    /// Judges models that were aligned; there is at least one.
    fn judge<'a>(&self, models: &'a [Predictions], teacher: Option<&Predictions>) -> Box<dyn Judgement + 'a>;
}

/// The kind of a task's labels.
pub(crate) fn of(task: TaskId) -> &'static dyn Kind {
    match task.label_shape() {
        LabelShape::Class => &one_class::OneClass,
        LabelShape::Classes => &several_classes::SeveralClasses,
        LabelShape::Value => &number::Number,
        LabelShape::Tags => &tags::Tags,
        LabelShape::Spans => &answers::Answers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: [TaskId; 5] = [
        TaskId::SINGLE_LABEL,
        TaskId::MULTI_LABEL,
        TaskId::REGRESSION,
        TaskId::TOKEN_CLASSIFICATION,
        TaskId::QUESTION_ANSWERING,
    ];

    /// A metric that is shown and never measured would be an empty column, or a gate that cannot be asked for.
    #[test]
    fn what_a_kind_shows_is_what_it_measures() {
        for task in TASKS {
            let kind = of(task);
            let headlines = [kind.headlines(true), kind.headlines(false)].concat();
            let shown = kind.columns().iter().chain(kind.card()).copied().chain(kind.third()).chain(headlines);
            for metric in shown {
                assert!(kind.metrics().contains(&metric), "{task}: {}", metric.name());
            }
        }
    }

    #[test]
    fn every_metric_belongs_to_a_kind_and_is_listed_once() {
        for metric in Metric::all() {
            assert!(TASKS.iter().any(|task| of(*task).metrics().contains(&metric)), "{}", metric.name());
        }
        for task in TASKS {
            let mut metrics = of(task).metrics().to_vec();
            metrics.sort();
            metrics.dedup();
            assert_eq!(metrics.len(), of(task).metrics().len(), "{task}");
        }
    }
}
