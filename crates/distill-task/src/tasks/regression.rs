//! A number a row.

use super::{FOR_SEQUENCE_CLASSIFICATION, SEQUENCE_CLASSIFICATION};
use crate::label::{Label, LabelShape};
use crate::metric::SelectionMetric;
use crate::task::{Activation, Positions, Setting, Task};

/// A row has a number: the one logit itself.
#[derive(Debug)]
pub struct Regression;

impl Task for Regression {
    fn name(&self) -> &'static str {
        "regression"
    }

    fn group(&self) -> &'static str {
        SEQUENCE_CLASSIFICATION
    }

    fn words(&self) -> &'static str {
        "a regression"
    }

    fn problem_type(&self) -> Option<&'static str> {
        Some(self.name())
    }

    fn head(&self) -> &'static str {
        FOR_SEQUENCE_CLASSIFICATION
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
        }
    }
}
