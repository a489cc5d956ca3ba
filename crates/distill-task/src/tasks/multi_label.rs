//! Any number of classes a row.

use super::{FOR_SEQUENCE_CLASSIFICATION, SEQUENCE_CLASSIFICATION};
use crate::label::{Label, LabelShape};
use crate::logits::above_zero;
use crate::metric::SelectionMetric;
use crate::task::{Activation, Positions, Setting, Task};

/// A row has any number of classes: a sigmoid for each label.
#[derive(Debug)]
pub struct MultiLabel;

impl Task for MultiLabel {
    fn name(&self) -> &'static str {
        "multi_label_classification"
    }

    fn group(&self) -> &'static str {
        SEQUENCE_CLASSIFICATION
    }

    fn words(&self) -> &'static str {
        "several classes a row"
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
        Activation::Sigmoid
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Classes
    }

    fn decode(&self, logits: &[f32], _outputs: usize) -> Label<i32> {
        Label::Classes(above_zero(logits).map(|class| class as i32).collect())
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
