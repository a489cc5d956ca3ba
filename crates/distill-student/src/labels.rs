//! What rows are labelled with, as the losses and figures take it.
//!
//! Legend: `B` rows, `C` labels.

use distill_data::cache::Example;
use distill_data::source::Label;
use distill_task::{LabelShape, TaskId};
use tch::Tensor;

use crate::loss::UNLABELLED;

/// The class, and the targets of a row that has several classes or a number, as a token cache keeps them.
pub(crate) fn cached(label: Option<&Label<i32>>, num_labels: usize) -> (Option<i32>, Vec<f32>) {
    match label {
        // Tags and spans belong to positions, not to the row.
        None | Some(Label::Tags(_) | Label::Spans(_)) => (None, Vec::new()),
        Some(Label::Class(class)) => (Some(*class), Vec::new()),
        Some(Label::Value(value)) => (None, vec![*value as f32]),
        Some(Label::Classes(classes)) => {
            let mut targets = vec![0.0; num_labels];
            let places = classes.iter().filter_map(|class| usize::try_from(*class).ok());
            places.for_each(|class| targets[class] = 1.0);
            (None, targets)
        }
    }
}

/// Labels of examples. One class a row: int64 `[B]`, [`UNLABELLED`] where there is none; a class for each word: the same of
/// their positions, `[N]`. Else float `[B, C]`, of which an unlabelled row is all NaN.
pub(crate) fn tensor<'a>(
    examples: impl Iterator<Item = &'a Example<'a>>,
    problem_type: TaskId,
    num_labels: usize,
) -> Tensor {
    if problem_type.label_shape() == LabelShape::Class {
        let labels: Vec<i64> = examples.map(|example| example.label.map_or(UNLABELLED, i64::from)).collect();
        return Tensor::from_slice(&labels);
    }
    if problem_type.label_shape() == LabelShape::Tags {
        let labels: Vec<i64> = examples.flat_map(tags).collect();
        return Tensor::from_slice(&labels);
    }
    let none = vec![f32::NAN; num_labels];
    let targets: Vec<f32> = examples
        .flat_map(|example| if example.targets.is_empty() { &none } else { example.targets })
        .copied()
        .collect();
    Tensor::from_slice(&targets).view([-1, num_labels as i64])
}

/// The tag of each position, [`UNLABELLED`] where there is none.
fn tags<'a>(example: &'a Example<'a>) -> impl Iterator<Item = i64> + 'a {
    let tag = |at: usize| example.tags.get(at).map_or(UNLABELLED, |tag| i64::from(*tag));
    (0..example.positions.len()).map(tag)
}

/// Whether every example has the soft targets of all its predictions.
pub(crate) fn have_soft_targets(examples: &[Example<'_>], num_labels: usize) -> bool {
    examples.iter().all(|example| example.logits.len() == num_labels * example.predictions())
}

/// Counts of yes-or-no answers: right ones, those that are so, those that were predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Hits {
    hits: f64,
    actual: f64,
    predicted: f64,
}

impl Hits {
    /// Of expected answers for every label.
    pub(crate) fn new(hits: f64, actual: f64, predicted: f64) -> Self {
        Hits { hits, actual, predicted }
    }

    fn add(&mut self, is_so: bool, predicted: bool) {
        self.hits += f64::from(is_so && predicted);
        self.actual += f64::from(is_so);
        self.predicted += f64::from(predicted);
    }

    /// F1; 0 where nothing is so and nothing was predicted.
    pub(crate) fn f1(&self) -> f64 {
        let sum = self.actual + self.predicted;
        if sum == 0.0 { 0.0 } else { 2.0 * self.hits / sum }
    }
}

/// Micro and macro F1 of several labels a row, a label being predicted where its logit is above 0; none without
/// labelled rows.
pub(crate) fn f1<'a>(rows: impl Iterator<Item = (&'a [f32], &'a [f32])>) -> Option<(f64, f64)> {
    let mut all = Hits::default();
    let mut labels: Vec<Hits> = Vec::new();
    for (targets, logits) in rows.filter(|(targets, _)| !targets.is_empty()) {
        labels.resize(targets.len(), Hits::default());
        for ((target, logit), label) in targets.iter().zip(logits).zip(&mut labels) {
            let (is_so, predicted) = (*target > 0.5, *logit > 0.0);
            all.add(is_so, predicted);
            label.add(is_so, predicted);
        }
    }
    let mean = labels.iter().map(Hits::f1).sum::<f64>() / labels.len() as f64;
    (!labels.is_empty()).then(|| (all.f1(), mean))
}

/// What one class a row comes to, class by class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ClassFigures {
    /// Mean F1 of the classes that occur among labels or predictions; none without rows.
    pub macro_f1: Option<f64>,
    /// Classes that have rows and are never predicted.
    pub never_predicted: u64,
}

/// Of pairs of label and prediction.
pub(crate) fn classes(pairs: impl Iterator<Item = (usize, usize)>, num_labels: usize) -> ClassFigures {
    let mut classes = vec![Hits::default(); num_labels];
    for (label, predicted) in pairs {
        let mut add = |class: usize| {
            if let Some(hits) = classes.get_mut(class) {
                hits.add(class == label, class == predicted);
            }
        };
        add(label);
        if predicted != label {
            add(predicted);
        }
    }
    let occurring = || classes.iter().filter(|class| class.actual + class.predicted > 0.0);
    let count = occurring().count();
    ClassFigures {
        macro_f1: (count > 0).then(|| occurring().map(Hits::f1).sum::<f64>() / count as f64),
        never_predicted: classes.iter().filter(|class| class.actual > 0.0 && class.predicted == 0.0).count()
            as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `sklearn.metrics.f1_score([0, 0, 1, 1, 3], [0, 1, 1, 1, 0], average="macro")`: (1/2 + 4/5 + 0) / 3.
    #[test]
    fn macro_f1_of_one_class_a_row_is_that_of_scikit_learn() {
        let found = classes([(0, 0), (0, 1), (1, 1), (1, 1), (3, 0)].into_iter(), 5);
        assert!((found.macro_f1.unwrap() - 1.3 / 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!(found.never_predicted, 1, "class 3; 2 and 4 have no rows");
        assert_eq!(classes(std::iter::empty(), 5), ClassFigures::default());
    }

    /// `sklearn.metrics.f1_score([[1, 0], [1, 1], [0, 0]], [[1, 1], [0, 1], [0, 0]], average=…)`: micro 2/3, macro
    /// (2/3 + 2/3) / 2.
    #[test]
    fn f1_is_that_of_scikit_learn_and_unlabelled_rows_do_not_count() {
        let rows: [(&[f32], &[f32]); 4] = [
            (&[1.0, 0.0], &[2.0, 0.1]),
            (&[1.0, 1.0], &[-1.0, 3.0]),
            (&[], &[9.0, 9.0]),
            (&[0.0, 0.0], &[-1.0, 0.0]),
        ];
        let (micro, macro_f1) = f1(rows.into_iter()).unwrap();
        assert!((micro - 2.0 / 3.0).abs() < 1e-12 && (macro_f1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(f1(rows[2..3].iter().copied()), None);
    }

    #[test]
    fn unlabelled_rows_and_rows_without_any_class_are_distinguished() {
        assert_eq!(cached(Some(&Label::Classes(Vec::new())), 2), (None, vec![0.0, 0.0]));
        assert_eq!(cached(None, 2), (None, Vec::new()));
        assert_eq!(cached(Some(&Label::Value(-1.5)), 1), (None, vec![-1.5]));
        assert_eq!(cached(Some(&Label::Classes(vec![1])), 2), (None, vec![0.0, 1.0]));
    }
}
