//! From the logits of labelled rows to figures, once for training, teachers and reports.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::label::Label;
use crate::metric::SelectionMetric;
use crate::tags::Counts;
use crate::task::Task;

/// One row's label and logits.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    /// Its label, or none.
    pub label: Option<Label<i32>>,
    /// The logits of all its positions, `[P, C]` row-major; `P` is 1 for tasks of one prediction a row.
    pub logits: Cow<'a, [f32]>,
    /// A teacher's logits of the same positions; empty without a teacher.
    pub teacher: Cow<'a, [f32]>,
}

/// Figures of rows. Those that a task does not have, or that the rows leave undefined, are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Share of labelled rows predicted right.
    pub accuracy: Option<f64>,
    /// Share of positions where student and teacher predict the same.
    pub agreement: Option<f64>,
    /// F1 over all pairs of row and label, where rows have several classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_f1: Option<f64>,
    /// Mean of the labels' F1; with one class a row of those that occur among labels or predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Classes that have labelled rows and are never predicted, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub never_predicted: Option<u64>,
    /// Mean squared distance from the labels, where they are numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mse: Option<f64>,
    /// F1 of entities, where tags write any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_f1: Option<f64>,
    /// Share of labelled words whose tag is right, or of masked tokens that are predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_accuracy: Option<f64>,
    /// Share of windows whose answer is right, where answers are parts of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact_match: Option<f64>,
    /// Mean over windows of the F1 of the positions of both answers, where answers are parts of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// `exp` of the mean cross-entropy of masked tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<f64>,
}

impl Figures {
    /// What a metric says. Of tags that write no entities, [`SelectionMetric::EntityF1`] is the share of right tags.
    pub fn get(&self, metric: SelectionMetric) -> Option<f64> {
        match metric {
            SelectionMetric::Accuracy => self.accuracy,
            SelectionMetric::MicroF1 => self.micro_f1,
            SelectionMetric::MacroF1 => self.macro_f1,
            SelectionMetric::Mse => self.mse,
            SelectionMetric::Agreement => self.agreement,
            SelectionMetric::EntityF1 => self.entity_f1.or(self.token_accuracy),
            SelectionMetric::TokenAccuracy => self.token_accuracy,
            SelectionMetric::ExactMatch => self.exact_match,
            SelectionMetric::F1 => self.f1,
            SelectionMetric::Loss => None,
        }
    }
}

/// A teacher compared with the best answer that is always the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// Rows that have a label.
    pub rows: usize,
    /// What is measured, for people.
    pub metric: &'static str,
    /// The teacher's figure.
    pub teacher: f64,
    /// That of the constant answer.
    pub constant: f64,
}

/// A share; none of nothing.
pub fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean squared distance of pairs of label and value; none without pairs.
pub fn mean_squared_error(pairs: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (sum, count) = pairs
        .fold((0.0, 0u64), |(sum, count), (label, value)| (sum + (value - label) * (value - label), count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Share of the positions where the teacher's logits and the model's say the same; none without a teacher for every row.
pub fn agreement(task: &dyn Task, rows: &[Scored<'_>], outputs: usize) -> Option<f64> {
    if rows.iter().any(|row| row.teacher.len() != row.logits.len()) {
        return None;
    }
    let [mut same, mut all] = [0, 0];
    for row in rows {
        let [right, of] = task.decode(&row.teacher, outputs).hits(&task.decode(&row.logits, outputs));
        (same, all) = (same + right, all + of);
    }
    share(same, all)
}

/// Positions that are predicted right, and those that have a label.
pub fn hits(task: &dyn Task, rows: &[Scored<'_>], outputs: usize) -> [u64; 2] {
    rows.iter().fold([0, 0], |[right, all], row| {
        let Some(label) = &row.label else { return [right, all] };
        let [hits, of] = label.hits(&task.decode(&row.logits, outputs));
        [right + hits, all + of]
    })
}

/// Precision, recall and F1 of pairs of label and prediction.
pub fn counts(pairs: impl Iterator<Item = (bool, bool)>) -> Counts {
    pairs.fold(Counts::default(), |counts, (is_so, predicted)| Counts {
        correct: counts.correct + u64::from(is_so && predicted),
        predicted: counts.predicted + u64::from(predicted),
        gold: counts.gold + u64::from(is_so),
    })
}

/// Whether a row with these classes has each label, `[C]`.
pub fn has_each(classes: &Label<i32>, num_labels: usize) -> Vec<bool> {
    let mut has = vec![false; num_labels];
    let places = classes.classes().filter_map(|class| usize::try_from(*class).ok());
    places.filter(|place| *place < num_labels).for_each(|place| has[place] = true);
    has
}
