//! A class for each word.

use crate::label::{Label, LabelShape};
use crate::logits::argmax;
use crate::metric::SelectionMetric;
use crate::task::{Activation, Positions, Setting, Task};

/// Each word of a row has a class: softmax over the tags, at the word's first sub-word.
#[derive(Debug)]
pub struct TokenClassification;

impl Task for TokenClassification {
    fn name(&self) -> &'static str {
        "token_classification"
    }

    fn words(&self) -> &'static str {
        "a tag for each word"
    }

    fn head(&self) -> &'static str {
        "ForTokenClassification"
    }

    fn positions(&self) -> Positions {
        Positions::Word
    }

    fn activation(&self) -> Activation {
        Activation::Softmax
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Tags
    }

    fn decode(&self, logits: &[f32], outputs: usize) -> Label<i32> {
        let words = logits.chunks_exact(outputs.max(1));
        Label::Tags(words.map(|logits| Some(argmax(logits) as i32)).collect())
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        use SelectionMetric::{Agreement, EntityF1, Loss, TokenAccuracy};
        &[EntityF1, TokenAccuracy, Agreement, Loss]
    }

    fn refuses(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::BalancedSampling => {
                Some("\"uniform\" for a tag for each word: a row stands for all of its tags at once")
            }
            Setting::Stratify => Some("rows with a single class"),
            _ => None,
        }
    }
}
