//! Any number of classes a row.

use distill_core::LabelMap;

use crate::label::{Label, LabelShape};
use crate::logits::above_zero;
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored, agreement, counts, has_each};
use crate::tags::Counts;
use crate::task::{Activation, Positions, Setting, Task};

/// A row has any number of classes: a sigmoid for each label.
#[derive(Debug)]
pub struct MultiLabel;

impl Task for MultiLabel {
    fn name(&self) -> &'static str {
        "multi_label_classification"
    }

    fn words(&self) -> &'static str {
        "several classes a row"
    }

    fn positions(&self) -> Positions {
        Positions::Row
    }

    fn activation(&self) -> Activation {
        Activation::Sigmoid
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Classes
    }

    fn decode(&self, logits: &[f32], _outputs: usize) -> Label<i32> {
        Label::Classes(above_zero(logits).map(|class| class as i32).collect())
    }

    fn figures(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Figures {
        let (all, classes) = label_counts(rows, labels.num_labels());
        let is_labelled = rows.iter().any(|row| row.label.is_some());
        let sum: f64 = classes.iter().map(|class| class.shares().f1).sum();
        Figures {
            micro_f1: is_labelled.then(|| all.shares().f1),
            macro_f1: is_labelled.then(|| sum / classes.len() as f64),
            agreement: agreement(self, rows, labels.num_labels()),
            ..Figures::default()
        }
    }

    /// Micro F1, compared with that of always naming the most frequent labels, as many as suit best.
    fn quality(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Option<Quality> {
        let (all, classes) = label_counts(rows, labels.num_labels());
        let labelled = rows.iter().filter(|row| row.label.is_some()).count();
        let mut frequencies: Vec<u64> = classes.iter().map(|class| class.gold).collect();
        frequencies.sort_unstable_by(|left, right| right.cmp(left));
        let (mut correct, mut constant) = (0, 0.0f64);
        for (answered, frequency) in (1..).zip(frequencies) {
            correct += frequency;
            let always = Counts { correct, gold: all.gold, predicted: labelled as u64 * answered };
            constant = constant.max(always.shares().f1);
        }
        let teacher = all.shares().f1;
        (labelled > 0).then_some(Quality { rows: labelled, metric: "micro F1", teacher, constant })
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        use SelectionMetric::{Agreement, Loss, MacroF1, MicroF1};
        &[MicroF1, MacroF1, Agreement, Loss]
    }

    fn refuses(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::Loss(Activation::Softmax) => Some(
                "\"bce\" or \"mse\" for several classes a row: the others compare softmax distributions, in which one \
                 label takes from another",
            ),
            Setting::BalancedSampling => {
                Some("\"uniform\" for several classes a row: a row stands for all of its classes at once")
            }
            Setting::Stratify => Some("rows with a single class"),
            _ => None,
        }
    }
}

/// Counts over all pairs of row and label, and of every label, `[C]`.
fn label_counts(rows: &[Scored<'_>], num_labels: usize) -> (Counts, Vec<Counts>) {
    let mut classes = vec![Counts::default(); num_labels];
    let mut all = Counts::default();
    for row in rows {
        let Some(label) = &row.label else { continue };
        let has = has_each(label, num_labels);
        for ((class, is_so), logit) in classes.iter_mut().zip(has).zip(row.logits.iter()) {
            let counted = counts(std::iter::once((is_so, *logit > 0.0)));
            *class += counted;
            all += counted;
        }
    }
    (all, classes)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn row(classes: Option<Vec<i32>>, logits: &[f32]) -> Scored<'_> {
        Scored {
            label: classes.map(Label::Classes),
            logits: Cow::Borrowed(logits),
            teacher: Cow::Borrowed(&[]),
        }
    }

    /// `sklearn.metrics.f1_score([[1, 0], [1, 1], [0, 0]], [[1, 1], [0, 1], [0, 0]], average=…)`: micro 2/3, macro
    /// (2/3 + 2/3) / 2.
    #[test]
    fn f1_is_that_of_scikit_learn_and_unlabelled_rows_do_not_count() {
        let rows = [
            row(Some(vec![0]), &[2.0, 0.1]),
            row(Some(vec![0, 1]), &[-1.0, 3.0]),
            row(None, &[9.0, 9.0]),
            row(Some(vec![]), &[-1.0, 0.0]),
        ];
        let map = LabelMap::numbered(2).unwrap();
        let found = MultiLabel.figures(&rows, &map);
        assert!((found.micro_f1.unwrap() - 2.0 / 3.0).abs() < 1e-12, "{found:?}");
        assert!((found.macro_f1.unwrap() - 2.0 / 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!(MultiLabel.figures(&rows[2..3], &map), Figures::default());
    }

    #[test]
    fn the_constant_answer_is_the_most_frequent_labels() {
        let rows = [
            row(Some(vec![0]), &[1.0, -1.0]),
            row(Some(vec![0, 1]), &[1.0, 1.0]),
            row(Some(vec![0]), &[1.0, -1.0]),
        ];
        let found = MultiLabel.quality(&rows, &LabelMap::numbered(2).unwrap()).unwrap();
        // Always the first label: 3 hits, 4 are so, 3 predicted: 6/7.
        assert!((found.constant - 6.0 / 7.0).abs() < 1e-12 && found.teacher == 1.0 && found.rows == 3);
    }
}
