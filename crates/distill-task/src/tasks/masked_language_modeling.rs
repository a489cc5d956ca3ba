//! The tokens that were masked.

use distill_core::LabelMap;

use crate::label::{Label, LabelShape};
use crate::logits::argmax;
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored, hits, share};
use crate::task::{Activation, Positions, Setting, Task};

/// Each masked place of a sequence has the token that was there: softmax over the vocabulary. Rows need no labels.
#[derive(Debug)]
pub struct MaskedLanguageModeling;

impl Task for MaskedLanguageModeling {
    fn name(&self) -> &'static str {
        "masked_language_modeling"
    }

    fn words(&self) -> &'static str {
        "masked tokens"
    }

    fn positions(&self) -> Positions {
        Positions::Masked
    }

    fn activation(&self) -> Activation {
        Activation::Softmax
    }

    fn label_shape(&self) -> LabelShape {
        LabelShape::Tags
    }

    fn decode(&self, logits: &[f32], outputs: usize) -> Label<i32> {
        let places = logits.chunks_exact(outputs.max(1));
        Label::Tags(places.map(|logits| Some(argmax(logits) as i32)).collect())
    }

    /// The share of right tokens. Perplexity is made of the loss, which logits alone do not say.
    fn figures(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Figures {
        let [right, all] = hits(self, rows, labels.num_labels());
        Figures { token_accuracy: share(right, all), ..Figures::default() }
    }

    /// Nobody distils the constant answer.
    fn quality(&self, _rows: &[Scored<'_>], _labels: &LabelMap) -> Option<Quality> {
        None
    }

    fn selection_metrics(&self) -> &'static [SelectionMetric] {
        &[SelectionMetric::Loss, SelectionMetric::TokenAccuracy]
    }

    fn refuses(&self, setting: Setting) -> Option<&'static str> {
        match setting {
            Setting::Loss(Activation::Softmax) => None,
            Setting::LabelSmoothing => Some("0 for masked tokens: perplexity is that of the tokens themselves"),
            Setting::ClassWeights => Some("\"none\" for masked tokens, which have no classes"),
            Setting::BalancedSampling => Some("\"uniform\" for masked tokens, which have no classes"),
            Setting::Stratify => Some("rows with a single class"),
            _ => Some("another one for masked tokens, which have no teacher"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn the_likeliest_token_is_compared_with_the_masked_one() {
        let map = LabelMap::new(["a", "b", "c"]).unwrap();
        let row = Scored {
            label: Some(Label::Tags(vec![Some(2), Some(0)])),
            logits: Cow::Owned(vec![0.0, 1.0, 2.0, 0.0, 1.0, 0.5]),
            teacher: Cow::Borrowed(&[]),
        };
        let found = MaskedLanguageModeling.figures(std::slice::from_ref(&row), &map);
        assert_eq!((found.token_accuracy, found.accuracy), (Some(0.5), None));
        assert_eq!(
            SelectionMetric::default_for(crate::TaskId::MASKED_LANGUAGE_MODELING),
            SelectionMetric::Loss
        );
    }
}
