//! A class for each word.

use distill_core::LabelMap;

use crate::label::{Label, LabelShape};
use crate::logits::argmax;
use crate::metric::SelectionMetric;
use crate::score::{Figures, Quality, Scored, agreement, hits, share};
use crate::tags::{EntityFigures, Mode, TagSet};
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

    /// Entities are counted where the tags' names write any.
    fn figures(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Figures {
        let [right, labelled] = hits(self, rows, labels.num_labels());
        let set = TagSet::new(labels.names()).ok().filter(|set| set.scheme().has_entities() && labelled > 0);
        let entity_f1 = set.map(|set| {
            let mut figures = EntityFigures::new(&set, Mode::Default);
            for row in rows {
                let Some(Label::Tags(gold)) = &row.label else { continue };
                let Label::Tags(predicted) = self.decode(&row.logits, labels.num_labels()) else { continue };
                figures.push(&ids(gold), &ids(&predicted));
            }
            figures.tally().micro().shares().f1
        });
        let agreement = agreement(self, rows, labels.num_labels());
        Figures { entity_f1, token_accuracy: share(right, labelled), agreement, ..Figures::default() }
    }

    /// Token accuracy, compared with that of the most frequent tag.
    fn quality(&self, rows: &[Scored<'_>], labels: &LabelMap) -> Option<Quality> {
        let [right, labelled] = hits(self, rows, labels.num_labels());
        let mut frequencies = vec![0u64; labels.num_labels()];
        for tag in rows.iter().filter_map(|row| row.label.as_ref()).flat_map(Label::classes) {
            if let Some(frequency) = usize::try_from(*tag).ok().and_then(|tag| frequencies.get_mut(tag)) {
                *frequency += 1;
            }
        }
        Some(Quality {
            rows: rows.iter().filter(|row| row.label.is_some()).count(),
            metric: "token accuracy",
            teacher: share(right, labelled)?,
            constant: share(frequencies.into_iter().max().unwrap_or(0), labelled)?,
        })
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

/// Tags as [`EntityFigures`] takes them.
fn ids(tags: &[Option<i32>]) -> Vec<Option<usize>> {
    tags.iter().map(|tag| tag.and_then(|tag| usize::try_from(tag).ok())).collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    /// Logits that predict these tags.
    fn says(tags: &[usize], outputs: usize) -> Vec<f32> {
        tags.iter().flat_map(|tag| (0..outputs).map(|at| f32::from(at == *tag))).collect()
    }

    #[test]
    fn entities_need_both_borders_and_words_without_a_tag_do_not_count() {
        let map = LabelMap::new(["O", "B-PER", "I-PER"]).unwrap();
        // Two entities, of which the first one is found; the third word has no tag.
        let gold = vec![Some(1), Some(2), None, Some(0), Some(1)];
        let row = Scored {
            label: Some(Label::Tags(gold)),
            logits: Cow::Owned(says(&[1, 2, 1, 0, 0], 3)),
            teacher: Cow::Owned(says(&[1, 2, 1, 0, 1], 3)),
        };
        let found = TokenClassification.figures(std::slice::from_ref(&row), &map);
        assert!((found.entity_f1.unwrap() - 2.0 / 3.0).abs() < 1e-12, "{found:?}");
        assert_eq!((found.token_accuracy, found.agreement), (Some(0.75), Some(0.8)));
        assert_eq!(found.get(SelectionMetric::EntityF1), found.entity_f1);
        let quality = TokenClassification.quality(&[row], &map).unwrap();
        assert_eq!((quality.rows, quality.teacher, quality.constant), (1, 0.75, 0.5));
    }

    #[test]
    fn plain_tags_are_compared_by_their_share() {
        let map = LabelMap::new(["NOUN", "VERB"]).unwrap();
        let label = Some(Label::Tags(vec![Some(0), Some(1)]));
        let row = Scored { label, logits: Cow::Owned(says(&[0, 0], 2)), teacher: Cow::Borrowed(&[]) };
        let found = TokenClassification.figures(&[row], &map);
        assert_eq!((found.entity_f1, found.get(SelectionMetric::EntityF1)), (None, Some(0.5)));
    }
}
