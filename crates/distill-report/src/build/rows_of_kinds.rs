//! Slices and single rows where rows have several classes, a number, a tag for each word, or answers.

use super::errors::{excerpt, students};
use super::kinds::{Kinds, teacher_at};
use super::slices::{by_length, cut, sort};
use crate::predictions::Predictions;
use crate::report::{ErrorRow, Errors, Figure, Slice};
use crate::settings::ReportSettings;
use crate::stats::wilson_interval;

/// The slices with enough rows, those where the first student is weakest first.
pub(super) fn slices(models: &[Predictions], kinds: &Kinds, settings: &ReportSettings) -> Vec<Slice> {
    let kind = crate::kinds::of(models[0].problem_type);
    let metric = kind.slice_metric();
    let figure = |model: usize, rows: &[usize]| match kind.has_distances() {
        true => mean_error(&kinds.models[model].errors, rows, settings.confidence),
        false => share_right(&kinds.models[model].right, rows, settings.confidence),
    };
    let mut slices = Vec::new();
    for by in &settings.slices {
        if let Some(values) = values(by, models, kinds) {
            slices.extend(cut(by, &values, metric, models.len(), &figure, settings));
        }
    }
    sort(&mut slices, models, settings.listed);
    slices
}

/// What each labelled row is cut by, each of its labels for one; none where the rows do not have it.
fn values(by: &str, models: &[Predictions], kinds: &Kinds) -> Option<Vec<Vec<String>>> {
    let first = &models[0];
    let one = |values: Vec<String>| values.into_iter().map(|value| vec![value]).collect();
    match by {
        "label" => Some(kinds.kind.by_label(first, &kinds.rows)),
        "length" => {
            let texts = models.iter().find_map(|model| model.texts.as_ref())?;
            Some(one(by_length(texts, &kinds.rows)))
        }
        // What a teacher is sure of is said of one class a row.
        "teacher_confidence" => None,
        column => {
            let mut columns = models.iter().flat_map(|model| &model.columns);
            let (_, values) = columns.find(|(name, _)| name == column)?;
            Some(kinds.rows.iter().map(|row| vec![values[*row].clone()]).collect())
        }
    }
}

fn share_right(right: &[bool], rows: &[usize], confidence: f64) -> Figure {
    let hits = rows.iter().filter(|at| right[**at]).count();
    let interval = wilson_interval(hits as u64, rows.len() as u64, confidence);
    Figure { value: hits as f64 / rows.len() as f64, interval: Some(interval) }
}

/// A mean with the interval that Student's t gives it.
fn mean_error(errors: &[f64], rows: &[usize], confidence: f64) -> Figure {
    let count = rows.len() as f64;
    let mean = rows.iter().map(|at| errors[*at]).sum::<f64>() / count;
    let squares: f64 = rows.iter().map(|at| (errors[*at] - mean).powi(2)).sum();
    let half = crate::stats::student_t::quantile(rows.len().saturating_sub(1), confidence)
        .map(|t| t * (squares / (count - 1.0) / count).sqrt());
    Figure { value: mean, interval: half.map(|half| [(mean - half).max(0.0), mean + half]) }
}

/// What each student got wrong compared with the teacher; empty without a teacher.
pub(super) fn errors(models: &[Predictions], kinds: &Kinds, listed: usize) -> Vec<Errors> {
    let Some(teacher) = teacher_at(models) else { return Vec::new() };
    let pair = |student: usize| Pair { models, kinds, student, teacher };
    students(models).into_iter().map(|student| pair(student).errors(listed)).collect()
}

struct Pair<'a> {
    models: &'a [Predictions],
    kinds: &'a Kinds,
    student: usize,
    teacher: usize,
}

impl Pair<'_> {
    fn errors(&self, listed: usize) -> Errors {
        let is_number = crate::kinds::of(self.models[self.student].problem_type).has_distances();
        let (student, teacher) = (&self.kinds.models[self.student], &self.kinds.models[self.teacher]);
        let rows =
            |of: &dyn Fn(usize) -> bool| (0..self.kinds.rows.len()).filter(|at| of(*at)).collect::<Vec<_>>();
        let (lost, won, suspects) = if is_number {
            let grown = |at: usize| student.errors[at] - teacher.errors[at];
            (rows(&|at| grown(at) > 0.0), rows(&|at| grown(at) < 0.0), Vec::new())
        } else {
            let same = |at: usize| self.predicted(self.student, at) == self.predicted(self.teacher, at);
            (
                rows(&|at| teacher.right[at] && !student.right[at]),
                rows(&|at| !teacher.right[at] && student.right[at]),
                rows(&|at| !student.right[at] && same(at)),
            )
        };
        let surest = |at: usize| self.confidence(self.student, at).min(self.confidence(self.teacher, at));
        let worst = |at: usize| match is_number {
            true => student.errors[at] - teacher.errors[at],
            false => self.confidence(self.student, at),
        };
        Errors {
            model: self.models[self.student].name.clone(),
            lost: lost.len() as u64,
            won: won.len() as u64,
            lost_rows: self.list(lost, worst, listed),
            grown_confusions: Vec::new(),
            label_errors: self.list(suspects, surest, listed),
        }
    }

    fn list(&self, mut rows: Vec<usize>, key: impl Fn(usize) -> f64, listed: usize) -> Vec<ErrorRow> {
        rows.sort_by(|left, right| key(*right).total_cmp(&key(*left)));
        rows.truncate(listed);
        rows.into_iter().map(|at| self.row(at)).collect()
    }

    fn row(&self, at: usize) -> ErrorRow {
        let row = self.kinds.rows[at];
        let [model, teacher] = [self.student, self.teacher].map(|place| &self.models[place]);
        let texts = self.models.iter().find_map(|model| model.texts.as_deref());
        let (label, predicted) = self.kinds.kind.shown(model, teacher, row);
        let [confidence, teacher_confidence] =
            [model, teacher].map(|model| self.kinds.kind.confidence(model, row));
        let text = texts.map(|texts| excerpt(&texts[row]));
        ErrorRow { id: model.ids[row].clone(), text, label, predicted, confidence, teacher_confidence }
    }

    fn predicted(&self, model: usize, at: usize) -> Vec<i32> {
        self.kinds.kind.predicted(&self.models[model], self.kinds.rows[at])
    }

    /// What rows are listed by: the probability that a model gives to its whole answer.
    fn confidence(&self, model: usize, at: usize) -> f64 {
        self.kinds.kind.confidence(&self.models[model], self.kinds.rows[at]).unwrap_or(0.0)
    }
}
