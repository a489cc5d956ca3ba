//! One class a row.

use super::{FOR_SEQUENCE_CLASSIFICATION, SEQUENCE_CLASSIFICATION};
use crate::label::{Label, LabelShape};
use crate::logits::argmax;
use crate::metric::SelectionMetric;
use crate::task::{Activation, Positions, Setting, Task};

/// A row has one class: softmax over the labels.
#[derive(Debug)]
pub struct SingleLabel;

impl Task for SingleLabel {
    fn name(&self) -> &'static str {
        "single_label_classification"
    }

    fn group(&self) -> &'static str {
        SEQUENCE_CLASSIFICATION
    }

    fn words(&self) -> &'static str {
        "one class a row"
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
        Activation::Softmax
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Class
    }

    fn decode(&self, logits: &[f32], _outputs: usize) -> Label<i32> {
        Label::Class(argmax(logits) as i32)
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        use SelectionMetric::{Accuracy, Agreement, Loss, MacroF1};
        &[Accuracy, MacroF1, Agreement, Loss]
    }

    fn refuses(&self, _setting: Setting) -> Option<&'static str> {
        None
    }
}
