//! One class a row.

use distill_core::LabelMap;

use crate::label::{Label, LabelShape};
use crate::logits::argmax;
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored, agreement, hits, share};
use crate::tags::Counts;
use crate::task::{Activation, Positions, Setting, Task};

/// A row has one class: softmax over the labels.
#[derive(Debug)]
pub struct SingleLabel;

impl Task for SingleLabel {
    fn name(&self) -> &'static str {
        "single_label_classification"
    }

    fn words(&self) -> &'static str {
        "one class a row"
    }

    fn positions(&self) -> Positions {
        Positions::Row
    }

    fn activation(&self) -> Activation {
        Activation::Softmax
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Class
    }

    fn decode(&self, logits: &[f32], _outputs: usize) -> Label<i32> {
        Label::Class(argmax(logits) as i32)
    }

    fn figures(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Figures {
        let num_labels = labels.num_labels();
        let classes = class_counts(rows, num_labels);
        let [right, labelled] = hits(self, rows, num_labels);
        let occurring: Vec<&Counts> = classes.iter().filter(|class| !class.is_empty()).collect();
        let sum: f64 = occurring.iter().map(|class| class.shares().f1).sum();
        let unseen = classes.iter().filter(|class| class.gold > 0 && class.predicted == 0).count();
        Figures {
            accuracy: share(right, labelled),
            macro_f1: (!occurring.is_empty()).then(|| sum / occurring.len() as f64),
            never_predicted: Some(unseen as u64).filter(|count| *count > 0),
            agreement: agreement(self, rows, num_labels),
            ..Figures::default()
        }
    }

    /// Accuracy, compared with that of the most frequent class.
    fn quality(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Option<Quality> {
        let [right, labelled] = hits(self, rows, labels.num_labels());
        let most = class_counts(rows, labels.num_labels()).iter().map(|class| class.gold).max();
        Some(Quality {
            rows: labelled as usize,
            metric: "accuracy",
            teacher: share(right, labelled)?,
            constant: share(most.unwrap_or(0), labelled)?,
        })
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        use SelectionMetric::{Accuracy, Agreement, Loss, MacroF1};
        &[Accuracy, MacroF1, Agreement, Loss]
    }

    fn refuses(&self, _setting: Setting) -> Option<&'static str> {
        None
    }
}

/// Counts of every class, `[C]`.
fn class_counts(rows: &[Scored<'_>], num_labels: usize) -> Vec<Counts> {
    let mut classes = vec![Counts::default(); num_labels];
    for row in rows {
        let Some(Label::Class(class)) = row.label else { continue };
        let (label, predicted) = (usize::try_from(class).ok(), argmax(&row.logits));
        if let Some(counts) = label.and_then(|label| classes.get_mut(label)) {
            counts.gold += 1;
            counts.correct += u64::from(label == Some(predicted));
        }
        if let Some(counts) = classes.get_mut(predicted) {
            counts.predicted += 1;
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    /// `sklearn.metrics.f1_score([0, 0, 1, 1, 3], [0, 1, 1, 1, 0], average="macro")`: (1/2 + 4/5 + 0) / 3.
    #[test]
    fn macro_f1_is_that_of_scikit_learn_and_the_constant_is_the_most_frequent_class() {
        let pairs = [(0, 0), (0, 1), (1, 1), (1, 1), (3, 0)];
        let rows: Vec<Scored<'_>> = pairs
            .into_iter()
            .map(|(label, predicted)| {
                let logits: Vec<f32> = (0..5).map(|class| f32::from(class == predicted)).collect();
                let label = Some(Label::Class(label));
                Scored { label, logits: Cow::Owned(logits.clone()), teacher: Cow::Owned(logits) }
            })
            .collect();
        let map = LabelMap::numbered(5).unwrap();
        let found = SingleLabel.figures(&rows, &map);
        assert!((found.macro_f1.unwrap() - 1.3 / 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.never_predicted, Some(1), "class 3; 2 and 4 have no rows");
        assert_eq!((found.accuracy, found.agreement), (Some(0.6), Some(1.0)));
        let quality = SingleLabel.quality(&rows, &map).unwrap();
        assert_eq!((quality.rows, quality.teacher, quality.constant), (5, 0.6, 0.4));
        assert_eq!(SingleLabel.figures(&[], &map), Figures::default());
        assert_eq!(SingleLabel.quality(&[], &map), None);
    }
}
