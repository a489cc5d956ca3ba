//! Slices and single rows where rows have several classes, a number, a tag for each word, or answers.

use distill_task::{Label, LabelShape};

use super::errors::{excerpt, students};
use super::kinds::{Kinds, answered, teacher_at};
use super::slices::{by_length, cut, sort};
use super::tagged_rows;
use crate::documents::format::number;
use crate::metrics::Metric;
use crate::predictions::Predictions;
use crate::report::{ErrorRow, Errors, Figure, Slice};
use crate::settings::ReportSettings;
use crate::stats::wilson_interval;

/// The slices with enough rows, those where the first student is weakest first.
pub(super) fn slices(models: &[Predictions], kinds: &Kinds, settings: &ReportSettings) -> Vec<Slice> {
    let is_number = models[0].problem_type.label_shape() == LabelShape::Value;
    let metric = match models[0].problem_type.label_shape() {
        LabelShape::Value => Metric::Mae,
        LabelShape::Spans => Metric::ExactMatch,
        _ => Metric::SubsetAccuracy,
    };
    let figure = |model: usize, rows: &[usize]| match is_number {
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
        "label" if first.problem_type.label_shape() == LabelShape::Value => {
            Some(one(by_value(first, &kinds.rows)))
        }
        "label" if first.words.is_some() => {
            Some(kinds.rows.iter().map(|row| tagged_rows::kinds(first, *row)).collect())
        }
        "label" if first.answers.is_some() => {
            Some(one(kinds.rows.iter().map(|row| answered::kind(first, *row)).collect()))
        }
        "label" => Some(kinds.rows.iter().map(|row| names(first, first.labels[*row].as_ref())).collect()),
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

fn names(model: &Predictions, label: Option<&Label<i32>>) -> Vec<String> {
    let name = |class: &i32| model.label_map.name(usize::try_from(*class).ok()?).map(str::to_owned);
    label.into_iter().flat_map(Label::classes).filter_map(name).collect()
}

/// Four parts of about as many rows each, by the label's value.
fn by_value(model: &Predictions, rows: &[usize]) -> Vec<String> {
    let value = |row: &usize| match &model.labels[*row] {
        Some(Label::Value(value)) => *value,
        _ => f64::NAN,
    };
    let values: Vec<f64> = rows.iter().map(value).collect();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let border = |quarter: usize| sorted[(sorted.len() * quarter / 4).min(sorted.len() - 1)];
    let borders = [border(1), border(2), border(3)];
    let shown = borders.map(number);
    let band = |value: f64| match borders.iter().position(|border| value < *border) {
        Some(0) => format!("below {}", shown[0]),
        Some(at) => format!("{} to below {}", shown[at - 1], shown[at]),
        None => format!("{} or more", shown[2]),
    };
    values.into_iter().map(band).collect()
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

/// What each student got wrong beside the teacher; empty without a teacher.
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
        let is_number = self.models[self.student].problem_type.label_shape() == LabelShape::Value;
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
        let model = &self.models[self.student];
        let texts = self.models.iter().find_map(|model| model.texts.as_deref());
        let (label, predicted, confidences) = match &model.labels[row] {
            Some(Label::Value(value)) => {
                let of = |model: usize| f64::from(self.models[model].row(row)[0]);
                let shown = format!("{:.4} (teacher {:.4})", of(self.student), of(self.teacher));
                (value.to_string(), shown, [None, None])
            }
            Some(Label::Tags(_) | Label::Spans(_)) => {
                let (label, predicted) = match model.words.is_some() {
                    true => tagged_rows::differing(model, row),
                    false => answered::shown(model, row),
                };
                let confidences = [self.student, self.teacher].map(|model| Some(self.confidence(model, at)));
                (label, predicted, confidences)
            }
            label => {
                let confidence = |model| Some(self.confidence(model, at));
                let predicted = Label::Classes(self.predicted(self.student, at));
                let confidences = [confidence(self.student), confidence(self.teacher)];
                (joined(names(model, label.as_ref())), joined(names(model, Some(&predicted))), confidences)
            }
        };
        let [confidence, teacher_confidence] = confidences;
        let text = texts.map(|texts| excerpt(&texts[row]));
        ErrorRow { id: model.ids[row].clone(), text, label, predicted, confidence, teacher_confidence }
    }

    fn predicted(&self, model: usize, at: usize) -> Vec<i32> {
        let (model, row) = (&self.models[model], self.kinds.rows[at]);
        if model.words.is_some() {
            return model.predicted_tags(row).iter().map(|tag| tag.map_or(-1, |tag| tag as i32)).collect();
        }
        if let Some(answers) = &model.answers {
            let span = answers.predictions[row];
            return span.map_or(Vec::new(), |span| vec![span.start as i32, span.end as i32]);
        }
        let logits = model.row(row);
        logits.iter().zip(0..).filter(|(logit, _)| **logit > 0.0).map(|(_, class)| class).collect()
    }

    /// The probability that a model gives to its whole answer, label by label; of a tag for each word the mean.
    fn confidence(&self, model: usize, at: usize) -> f64 {
        let (model, row) = (&self.models[model], self.kinds.rows[at]);
        if model.words.is_some() {
            return model.tag_confidence(row);
        }
        if let Some(answers) = &model.answers {
            return answers.scores[row];
        }
        let logits = model.row(row);
        logits.iter().map(|logit| 1.0 / (1.0 + (-f64::from(logit.abs())).exp())).product()
    }
}

fn joined(names: Vec<String>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
