//! A part of a text that answers a question.

use distill_core::LabelMap;

use crate::label::{Label, LabelShape, Span};
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored, agreement, hits, share};
use crate::task::{Activation, Positions, Setting, Task};

/// Most positions of an answer, as in `transformers`' scripts for SQuAD.
const LONGEST_ANSWER: usize = 30;

/// Logits of a position: whether an answer starts there, and whether it ends there.
const OUTPUTS: usize = 2;

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
        OUTPUTS
    }

    fn fixed_labels(&self) -> Option<usize> {
        Some(OUTPUTS)
    }

    /// Of one window the span of positions with the largest sum of both logits, the first among equals. The first position
    /// stands for "no answer": where its sum is larger than that of every span, there are no spans.
    fn decode(&self, logits: &[f32], _outputs: usize) -> Label<i32> {
        let positions: Vec<&[f32]> = logits.chunks_exact(2).collect();
        let Some(none) = positions.first() else { return Label::Spans(Vec::new()) };
        let sum = |first: &[f32], last: &[f32]| f64::from(first[0]) + f64::from(last[1]);
        let (mut score, mut best) = (sum(none, none), None);
        for (start, first) in positions.iter().enumerate().skip(1) {
            for (length, last) in positions[start..].iter().take(LONGEST_ANSWER).enumerate() {
                let own = sum(first, last);
                if own > score || (best.is_none() && own == score) {
                    score = own;
                    best = Some(Span { start: start as u32, end: (start + length + 1) as u32 });
                }
            }
        }
        Label::Spans(best.into_iter().collect())
    }

    /// Exact match and F1 over the positions of windows: what training selects an epoch by. Those of SQuAD compare texts,
    /// which logits do not have: [`crate::answers`] computes them.
    fn figures(&self, rows: &[Scored<'_>], _labels: &LabelMap) -> Figures {
        let (mut labelled, mut exact, mut f1) = (0u64, 0u64, 0.0);
        for row in rows {
            let Some(Label::Spans(gold)) = &row.label else { continue };
            let Label::Spans(found) = self.decode(&row.logits, OUTPUTS) else { continue };
            let (gold, found) = (gold.first().copied(), found.first().copied());
            labelled += 1;
            exact += u64::from(gold == found);
            f1 += overlap_f1(gold, found);
        }
        Figures {
            agreement: agreement(self, rows, OUTPUTS),
            exact_match: share(exact, labelled),
            f1: (labelled > 0).then(|| f1 / labelled as f64),
            ..Figures::default()
        }
    }

    /// The constant answer is "no answer", which is right for windows without one.
    fn quality(&self, rows: &[Scored<'_>], _labels: &LabelMap) -> Option<Quality> {
        let [right, labelled] = hits(self, rows, OUTPUTS);
        let is_none = |row: &&Scored<'_>| matches!(&row.label, Some(Label::Spans(spans)) if spans.is_empty());
        let constant = rows.iter().filter(is_none).count() as u64;
        Some(Quality {
            rows: usize::try_from(labelled).ok()?,
            metric: "exact match",
            teacher: share(right, labelled)?,
            constant: share(constant, labelled)?,
        })
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        use SelectionMetric::{ExactMatch, F1, Loss};
        &[F1, ExactMatch, Loss]
    }

    fn refuses(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::Loss(Activation::Softmax) => None,
            Setting::Loss(Activation::Sigmoid) => Some(
                "a loss of softmax distributions for answers in a text: one position begins an answer, and one ends it",
            ),
            Setting::Loss(Activation::Identity) => Some(
                "a loss of softmax distributions for answers in a text: windows have different numbers of positions",
            ),
            Setting::LabelSmoothing => {
                Some("0 for answers in a text: windows have different numbers of positions to spread it over")
            }
            Setting::StandardizedLogits => {
                Some("false for answers in a text: windows have different numbers of positions")
            }
            Setting::AverageProbabilities => {
                Some("\"logits\" for answers in a text: windows have different numbers of positions")
            }
            Setting::WholeBatch => Some(
                "a loss of single rows for answers in a text: position 5 of one window has nothing to do with that of another",
            ),
            Setting::ClassWeights => Some("\"none\" for answers in a text, which have no classes"),
            Setting::BalancedSampling => Some("\"uniform\" for answers in a text, which have no classes"),
            Setting::Stratify => Some("rows with a single class"),
        }
    }
}

/// F1 of the positions of two spans; 1 where both say "no answer".
fn overlap_f1(gold: Option<Span>, found: Option<Span>) -> f64 {
    let (Some(gold), Some(found)) = (gold, found) else { return f64::from(u8::from(gold == found)) };
    let common = gold.end.min(found.end).saturating_sub(gold.start.max(found.start));
    let all = (gold.end - gold.start) + (found.end - found.start);
    if all == 0 { 1.0 } else { 2.0 * f64::from(common) / f64::from(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(ends: &[(u32, u32)]) -> Label<i32> {
        Label::Spans(ends.iter().map(|(start, end)| Span { start: *start, end: *end }).collect())
    }

    #[test]
    fn the_best_span_begins_before_it_ends_and_the_first_position_is_no_answer() {
        let best = |logits: &[f32]| QuestionAnswering.decode(logits, 2);
        // The largest start is the last position, the largest end the one before it.
        assert_eq!(best(&[0.0, 0.0, 1.0, 9.0, 0.0, 4.0, 9.0, 0.5]), spans(&[(1, 2)]));
        assert_eq!(best(&[0.0, 0.0, 5.0, 0.0, 0.0, 1.0, 0.0, 3.0]), spans(&[(1, 4)]));
        assert_eq!(best(&[4.5, 4.5, 5.0, 0.0, 0.0, 1.0, 0.0, 3.0]), spans(&[]));
        assert_eq!(best(&[]), spans(&[]));
    }

    #[test]
    fn figures_compare_positions_window_by_window() {
        let row = |label: Option<Label<i32>>, logits: &[f32]| Scored {
            label,
            logits: logits.to_vec().into(),
            teacher: Vec::new().into(),
        };
        // Predicted: positions 1 to 3, no answer, position 2.
        let (long, none, short) =
            ([0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 9.0], [9.0, 9.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 9.0, 9.0]);
        let rows = [
            row(Some(spans(&[(1, 2)])), &long),
            row(Some(spans(&[])), &none),
            row(Some(spans(&[])), &short),
            row(None, &short),
        ];
        let labels = LabelMap::new(["start", "end"]).unwrap();
        let figures = QuestionAnswering.figures(&rows, &labels);
        assert_eq!(figures.exact_match, Some(1.0 / 3.0));
        assert!((figures.f1.unwrap() - (2.0 / 4.0 + 1.0) / 3.0).abs() < 1e-12);
        let quality = QuestionAnswering.quality(&rows, &labels).unwrap();
        assert_eq!((quality.rows, quality.teacher, quality.constant), (3, 1.0 / 3.0, 2.0 / 3.0));
        assert_eq!(QuestionAnswering.quality(&rows[3..], &labels), None);
    }
}
