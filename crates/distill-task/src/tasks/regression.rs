//! A number a row.

use distill_core::LabelMap;

use crate::label::{Label, LabelShape};
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored, mean_squared_error};
use crate::task::{Activation, Positions, Setting, Task};

/// A row has a number: the one logit itself.
#[derive(Debug)]
pub struct Regression;

impl Task for Regression {
    fn name(&self) -> &'static str {
        "regression"
    }

    fn words(&self) -> &'static str {
        "a regression"
    }

    fn positions(&self) -> Positions {
        Positions::Row
    }

    fn activation(&self) -> Activation {
        Activation::Identity
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Value
    }

    fn fixed_labels(&self) -> Option<usize> {
        Some(1)
    }

    fn decode(&self, logits: &[f32], _outputs: usize) -> Label<i32> {
        Label::Value(logits.first().copied().map_or(f64::NAN, f64::from))
    }

    fn figures(&self, rows: &[Scored<'_>], _labels: &LabelMap) -> Figures {
        Figures { mse: mean_squared_error(pairs(rows)), ..Figures::default() }
    }

    /// The share of the variance that is explained, of which the mean explains nothing.
    fn quality(&self, rows: &[Scored<'_>], _labels: &LabelMap) -> Option<Quality> {
        let labelled = pairs(rows).count();
        let mean = pairs(rows).map(|(label, _)| label).sum::<f64>() / labelled as f64;
        let spread: f64 = pairs(rows).map(|(label, _)| (label - mean).powi(2)).sum();
        let error: f64 = pairs(rows).map(|(label, value)| (label - value).powi(2)).sum();
        let teacher = if spread > 0.0 { 1.0 - error / spread } else { 0.0 };
        (labelled > 0).then_some(Quality { rows: labelled, metric: "R²", teacher, constant: 0.0 })
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        &[SelectionMetric::Mse, SelectionMetric::Loss]
    }

    fn refuses(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::Loss(Activation::Identity) => None,
            Setting::Loss(_) => {
                Some("\"mse\" for a regression: the others compare probabilities, and its output is none")
            }
            Setting::LabelSmoothing => Some("0 for a regression, which has no classes"),
            Setting::ClassWeights => Some("\"none\" for a regression, which has no classes"),
            Setting::BalancedSampling => Some("\"uniform\" for a regression, which has no classes"),
            Setting::Stratify => Some("rows with a single class"),
            Setting::AverageProbabilities => Some("\"logits\" for a regression, which has no probabilities"),
            // Its only loss takes neither.
            Setting::StandardizedLogits | Setting::WholeBatch => None,
        }
    }
}

/// Label and value of the labelled rows.
fn pairs<'a>(rows: &'a [Scored<'_>]) -> impl Iterator<Item = (f64, f64)> + 'a {
    rows.iter().filter_map(|row| match &row.label {
        Some(Label::Value(label)) => Some((*label, f64::from(*row.logits.first()?))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn a_teacher_is_compared_with_the_mean() {
        let of = |pairs: &[(Option<f64>, f32)]| -> Vec<Scored<'static>> {
            let row = |(label, value): &(Option<f64>, f32)| Scored {
                label: label.map(Label::Value),
                logits: Cow::Owned(vec![*value]),
                teacher: Cow::Borrowed(&[]),
            };
            pairs.iter().map(row).collect()
        };
        let map = LabelMap::numbered(1).unwrap();
        let rows = of(&[(Some(1.0), 1.5), (Some(3.0), 2.5), (None, 9.0)]);
        let good = Regression.quality(&rows, &map).unwrap();
        assert!((good.teacher - 0.75).abs() < 1e-12 && good.rows == 2);
        assert_eq!(Regression.figures(&rows, &map).mse, Some(0.25));
        let flat = Regression.quality(&of(&[(Some(1.0), 2.0), (Some(3.0), 2.0)]), &map).unwrap();
        assert_eq!((flat.teacher, flat.constant), (0.0, 0.0));
    }
}
