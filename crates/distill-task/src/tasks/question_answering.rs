//! A part of a text that answers a question.

use distill_core::LabelMap;

use crate::label::{Label, LabelShape, Span};
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored};
use crate::task::{Activation, Positions, Setting, Task};

/// Most positions of an answer, as in `transformers`' scripts for SQuAD.
const LONGEST_ANSWER: usize = 30;

/// An answer begins at one position and ends at another: a logit of each position for either.
#[derive(Debug)]
pub struct QuestionAnswering;

impl Task for QuestionAnswering {
    fn name(&self) -> &'static str {
        "question_answering"
    }

    fn words(&self) -> &'static str {
        "answers in a text"
    }

    fn positions(&self) -> Positions {
        Positions::Span
    }

    fn activation(&self) -> Activation {
        Activation::Softmax
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Spans
    }

    fn outputs(&self, _labels: &LabelMap) -> usize {
        2
    }

    fn fixed_labels(&self) -> Option<usize> {
        Some(2)
    }

    /// The span of positions with the largest sum of both logits, the first among equals. It says nothing of whether
    /// the text has an answer.
    fn decode(&self, logits: &[f32], _outputs: usize) -> Label<i32> {
        let positions: Vec<&[f32]> = logits.chunks_exact(2).collect();
        let mut best: Option<(f64, Span)> = None;
        for (start, first) in positions.iter().enumerate() {
            for (length, last) in positions[start..].iter().take(LONGEST_ANSWER).enumerate() {
                let score = f64::from(first[0]) + f64::from(last[1]);
                if best.is_none_or(|(known, _)| score > known) {
                    let span = Span { start: start as u32, end: (start + length + 1) as u32 };
                    best = Some((score, span));
                }
            }
        }
        Label::Spans(best.map(|(_, span)| span).into_iter().collect())
    }

    /// Exact match and F1 compare texts, which logits do not have: [`crate::answers`] computes them.
    fn figures(&self, _rows: &[Scored<'_>], _labels: &LabelMap) -> Figures {
        Figures::default()
    }

    /// No answer is right for many questions.
    fn quality(&self, _rows: &[Scored<'_>], _labels: &LabelMap) -> Option<Quality> {
        None
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        use SelectionMetric::{ExactMatch, F1, Loss};
        &[F1, ExactMatch, Loss]
    }

    fn refuses(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::Loss(Activation::Softmax | Activation::Identity) => None,
            Setting::Loss(Activation::Sigmoid) => Some(
                "a loss of softmax distributions for answers in a text: one position begins an answer, and one ends it",
            ),
            Setting::LabelSmoothing | Setting::AverageProbabilities => None,
            Setting::ClassWeights => Some("\"none\" for answers in a text, which have no classes"),
            Setting::BalancedSampling => Some("\"uniform\" for answers in a text, which have no classes"),
            Setting::Stratify => Some("rows with a single class"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_span_begins_before_it_ends() {
        let best = |logits: &[f32]| QuestionAnswering.decode(logits, 2);
        // The largest start is the last position, the largest end the first one.
        let found = best(&[1.0, 9.0, 0.0, 4.0, 9.0, 0.5]);
        assert_eq!(found, Label::Spans(vec![Span { start: 0, end: 1 }]));
        assert_eq!(best(&[5.0, 0.0, 0.0, 1.0, 0.0, 3.0]), Label::Spans(vec![Span { start: 0, end: 3 }]));
        assert_eq!(best(&[]), Label::Spans(vec![]));
    }
}
