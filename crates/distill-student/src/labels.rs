//! What rows are labelled with, as the losses and figures take it.
//!
//! Legend: `B` rows, `C` labels.

use std::borrow::Cow;

use distill_data::cache::{Example, NO_TAG};
use distill_data::source::Label;
use distill_task::{LabelShape, Positions, Scored, Span, TaskId};
use tch::Tensor;

use crate::loss::{UNLABELLED, answers};
use crate::supervision::{ENDS, STARTS};

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
/// their positions, `[N]`; of answers what [`crate::loss::answers`] takes. Else float `[B, C]`, of which an unlabelled row is all NaN.
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
    if problem_type.label_shape() == LabelShape::Spans {
        let windows: Vec<(usize, i64, i64)> = examples.map(ends_of).collect();
        return answers::labels(&windows);
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

/// Positions of a window, and those at which its answer begins and ends, [`UNLABELLED`] where it has no label.
fn ends_of(example: &Example<'_>) -> (usize, i64, i64) {
    let place = |mark: i32| {
        example.tags.iter().position(|tag| tag & mark != 0).map_or(UNLABELLED, |place| place as i64)
    };
    (example.positions.len(), place(STARTS), place(ENDS))
}

/// Whether every example has the soft targets of all its predictions.
pub(crate) fn have_soft_targets(examples: &[Example<'_>], num_labels: usize) -> bool {
    examples.iter().all(|example| example.logits.len() == num_labels * example.predictions())
}

/// Rows with their labels and logits, row-major `[N, C]` over all predictions; the windows of a row are put together.
pub(crate) fn scored<'a>(
    examples: &'a [Example<'a>],
    logits: &'a [f32],
    num_labels: usize,
    task: TaskId,
) -> Vec<Scored<'a>> {
    // Answers are compared window by window: of which text a window is a part, training does not know.
    let has_windows = task.positions() == Positions::Word;
    let mut rest = logits;
    let rows = examples.chunk_by(|left, right| has_windows && left.row == right.row);
    rows.map(|row| {
        let count = num_labels * row.iter().map(Example::predictions).sum::<usize>();
        let (own, others) = rest.split_at(count.min(rest.len()));
        rest = others;
        let teacher = match row {
            [one] => Cow::Borrowed(one.logits),
            windows => windows.iter().flat_map(|window| window.logits).copied().collect(),
        };
        Scored { label: label(row, task), logits: Cow::Borrowed(own), teacher }
    })
    .collect()
}

/// The label of a row's windows; none where nothing of it is labelled.
fn label(row: &[Example<'_>], task: TaskId) -> Option<Label<i32>> {
    let first = row.first().filter(|_| row.iter().any(Example::is_labelled))?;
    match task.label_shape() {
        LabelShape::Class => first.label.map(Label::Class),
        LabelShape::Value => first.targets.first().map(|value| Label::Value(f64::from(*value))),
        LabelShape::Classes => {
            let is_so = first.targets.iter().zip(0..).filter(|(target, _)| **target > 0.5);
            Some(Label::Classes(is_so.map(|(_, class)| class).collect()))
        }
        LabelShape::Tags => {
            let tags = row.iter().flat_map(|window| {
                (0..window.predictions())
                    .map(move |at| window.tags.get(at).copied().filter(|tag| *tag != NO_TAG))
            });
            Some(Label::Tags(tags.collect()))
        }
        LabelShape::Spans => {
            let (_, start, end) = ends_of(first);
            let span = Span { start: u32::try_from(start).ok()?, end: u32::try_from(end + 1).ok()? };
            // The first position stands for "no answer".
            Some(Label::Spans(if span.start == 0 { Vec::new() } else { vec![span] }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlabelled_rows_and_rows_without_any_class_are_distinguished() {
        assert_eq!(cached(Some(&Label::Classes(Vec::new())), 2), (None, vec![0.0, 0.0]));
        assert_eq!(cached(None, 2), (None, Vec::new()));
        assert_eq!(cached(Some(&Label::Value(-1.5)), 1), (None, vec![-1.5]));
        assert_eq!(cached(Some(&Label::Classes(vec![1])), 2), (None, vec![0.0, 1.0]));
    }

    fn example(row: u64) -> Example<'static> {
        Example { input_ids: &[1, 2, 3], id_hash: row, row, ..Example::default() }
    }

    #[test]
    fn the_windows_of_a_row_are_one_row_of_all_its_words() {
        let windows = [
            Example { positions: &[1, 2], tags: &[0, NO_TAG], logits: &[1.0, 2.0, 3.0, 4.0], ..example(0) },
            Example { positions: &[1], tags: &[1], logits: &[5.0, 6.0], ..example(0) },
            Example { positions: &[2], logits: &[7.0, 8.0], ..example(1) },
        ];
        let logits: Vec<f32> = (0u8..8).map(f32::from).collect();
        let rows = scored(&windows, &logits, 2, TaskId::TOKEN_CLASSIFICATION);
        assert_eq!(rows[0].label, Some(Label::Tags(vec![Some(0), None, Some(1)])));
        assert_eq!((&*rows[0].logits, &*rows[0].teacher), (&logits[..6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..]));
        assert_eq!((rows.len(), &rows[1].label, &*rows[1].logits), (2, &None, &logits[6..]));
    }

    #[test]
    fn a_label_is_read_back_from_the_cache() {
        let several = Example { targets: &[0.0, 1.0], ..example(0) };
        let number = Example { targets: &[0.5], ..example(0) };
        let class = Example { label: Some(1), ..example(0) };
        assert_eq!(label(&[several], TaskId::MULTI_LABEL), Some(Label::Classes(vec![1])));
        assert_eq!(label(&[number], TaskId::REGRESSION), Some(Label::Value(0.5)));
        assert_eq!(label(&[class], TaskId::SINGLE_LABEL), Some(Label::Class(1)));
        assert_eq!(label(&[example(0)], TaskId::SINGLE_LABEL), None);
        let answers = TaskId::QUESTION_ANSWERING;
        let window = |tags: &'static [i32]| Example { positions: &[0, 4, 5], tags, ..example(0) };
        let span = Span { start: 1, end: 3 };
        assert_eq!(label(&[window(&[0, STARTS, ENDS])], answers), Some(Label::Spans(vec![span])));
        assert_eq!(label(&[window(&[STARTS + ENDS, 0, 0])], answers), Some(Label::Spans(vec![])));
        assert_eq!(label(&[window(&[])], answers), None);
    }
}
