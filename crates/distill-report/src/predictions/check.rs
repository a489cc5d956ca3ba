//! What predictions must be before anything is measured.

use std::collections::HashMap;

use distill_task::Label;

use super::Predictions;
use crate::error::ReportError;
use crate::kinds;

impl Predictions {
    pub(super) fn check_lengths(&self) -> Result<(), ReportError> {
        if self.ids.is_empty() {
            return Err(ReportError::NoRows { model: self.name.clone() });
        }
        self.check_length("the labels", self.labels.len(), self.ids.len())?;
        let expected = match &self.words {
            Some(words) => words.ends.last().copied().unwrap_or(0),
            None if self.answers.is_some() => 0,
            None => self.ids.len().saturating_mul(self.num_labels()),
        };
        self.check_length("the logits", self.logits.len(), expected)
    }

    pub(super) fn check_length(
        &self,
        what: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), ReportError> {
        if found == expected {
            return Ok(());
        }
        Err(ReportError::Length { model: self.name.clone(), what, found, expected })
    }

    pub(super) fn check_ids(&self) -> Result<(), ReportError> {
        let mut seen = HashMap::with_capacity(self.ids.len());
        for (row, id) in self.ids.iter().enumerate() {
            if let Some(first) = seen.insert(id.as_str(), row) {
                let (model, id) = (self.name.clone(), id.clone());
                return Err(ReportError::DuplicateId { model, id, first: first + 1, second: row + 1 });
            }
        }
        Ok(())
    }

    pub(super) fn check_logits(&self) -> Result<(), ReportError> {
        let Some(at) = self.logits.iter().position(|logit| !logit.is_finite()) else {
            return Ok(());
        };
        let row = match &self.words {
            Some(words) => words.ends.partition_point(|end| *end <= at),
            None => at / self.num_labels(),
        };
        let column = at % self.num_labels();
        Err(ReportError::NotFinite {
            model: self.name.clone(),
            row: row + 1,
            id: self.ids[row].clone(),
            label: self.label_map.name(column).unwrap_or_default().to_owned(),
            value: self.logits[at],
        })
    }

    pub(super) fn check_labels(&self) -> Result<(), ReportError> {
        let one_class = |what| ReportError::OneClass { model: self.name.clone(), what };
        let single = kinds::of(self.problem_type).has_one_class();
        if let Some(fixed) = self.problem_type.fixed_labels() {
            self.check_length("the label map of a regression", self.num_labels(), fixed)?;
        }
        if single && self.num_labels() < 2 {
            return Err(one_class(format!("the label map has only {}", self.label_map)));
        }
        let mut seen = vec![false; self.num_labels()];
        for (row, label) in self.labels.iter().enumerate() {
            let Some(label) = label else { continue };
            self.check_kind(row, label)?;
            for label in label.classes() {
                match usize::try_from(*label).ok().and_then(|label| seen.get_mut(label)) {
                    Some(seen) => *seen = true,
                    None => {
                        return Err(ReportError::LabelRange {
                            model: self.name.clone(),
                            row: row + 1,
                            id: self.ids[row].clone(),
                            label: *label,
                            last: self.num_labels() - 1,
                        });
                    }
                }
            }
        }
        let is_labelled = |label: &Option<Label<i32>>| match label {
            Some(Label::Tags(tags)) => tags.iter().any(Option::is_some),
            label => label.is_some(),
        };
        if !single && self.labels.iter().any(is_labelled) {
            return Ok(());
        }
        let mut present = self.label_map.names().iter().zip(&seen).filter(|(_, seen)| **seen);
        match (present.next(), present.next()) {
            (None, _) => Err(ReportError::Unlabelled { model: self.name.clone(), rows: self.rows() }),
            (Some((name, _)), None) => Err(one_class(format!("every labelled row has the label {name:?}"))),
            _ => Ok(()),
        }
    }

    fn check_kind(&self, row: usize, label: &Label<i32>) -> Result<(), ReportError> {
        let is_nan = matches!(label, Label::Value(value) if !value.is_finite());
        let has_words = self.words.is_some() == matches!(label, Label::Tags(_));
        let has_answers = self.answers.is_some() == matches!(label, Label::Spans(_));
        let is_whole = has_words && has_answers && !is_nan;
        if label.shape() == self.problem_type.label_shape() && is_whole {
            return Ok(());
        }
        Err(ReportError::LabelKind {
            model: self.name.clone(),
            row: row + 1,
            id: self.ids[row].clone(),
            expected: self.problem_type,
        })
    }
}
