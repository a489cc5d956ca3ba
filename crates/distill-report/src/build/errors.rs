//! Single rows and confusions that deserve a look.

use crate::metrics::Scored;
use crate::predictions::{Predictions, Role};
use crate::report::{ErrorRow, Errors, GrownConfusion};

/// Characters of a text that a list shows.
const TEXT_SHOWN: usize = 240;

/// What each student got wrong compared with the teacher; empty without a teacher. Where no model is the
/// student, every model but the teacher is taken for one.
pub fn errors(models: &[Predictions], scored: &[Scored], listed: usize) -> Vec<Errors> {
    let Some(teacher) = models.iter().position(|model| model.role == Role::Teacher) else {
        return Vec::new();
    };
    let texts = models.iter().find_map(|model| model.texts.as_deref());
    students(models)
        .into_iter()
        .map(|at| {
            Pair { model: &models[at], student: &scored[at], teacher: &scored[teacher], texts }.errors(listed)
        })
        .collect()
}

/// Places of the students; where no model is one, of all but the teacher.
pub(super) fn students(models: &[Predictions]) -> Vec<usize> {
    let has_student = models.iter().any(|model| model.role == Role::Student);
    let is_student = |role: Role| if has_student { role == Role::Student } else { role != Role::Teacher };
    (0..models.len()).filter(|at| is_student(models[*at].role)).collect()
}

struct Pair<'a> {
    model: &'a Predictions,
    student: &'a Scored<'a>,
    teacher: &'a Scored<'a>,
    texts: Option<&'a [String]>,
}

impl Pair<'_> {
    fn errors(&self, listed: usize) -> Errors {
        let (student, teacher) = (self.student, self.teacher);
        let rows = |of: &dyn Fn(usize) -> bool| (0..student.len()).filter(|at| of(*at)).collect::<Vec<_>>();
        let lost = rows(&|at| teacher.is_correct(at) && !student.is_correct(at));
        let won = rows(&|at| !teacher.is_correct(at) && student.is_correct(at));
        let agreed = |at: usize| student.predicted()[at] == teacher.predicted()[at] && !student.is_correct(at);
        let surest = |at: usize| student.confidence(at).min(teacher.confidence(at));
        Errors {
            model: self.model.name.clone(),
            lost: lost.len() as u64,
            won: won.len() as u64,
            lost_rows: self.list(lost, |at| student.confidence(at), listed),
            grown_confusions: self.grown_confusions(listed),
            label_errors: self.list(rows(&agreed), surest, listed),
        }
    }

    fn list(&self, mut rows: Vec<usize>, key: impl Fn(usize) -> f64, listed: usize) -> Vec<ErrorRow> {
        rows.sort_by(|left, right| key(*right).total_cmp(&key(*left)));
        rows.truncate(listed);
        rows.into_iter().map(|at| self.row(at)).collect()
    }

    fn row(&self, at: usize) -> ErrorRow {
        let row = self.student.rows()[at];
        ErrorRow {
            id: self.model.ids[row].clone(),
            text: self.texts.map(|texts| excerpt(&texts[row])),
            label: self.label(self.student.targets()[at]),
            predicted: self.label(self.student.predicted()[at]),
            confidence: Some(self.student.confidence(at)),
            teacher_confidence: Some(self.teacher.confidence(at)),
        }
    }

    fn label(&self, label: usize) -> String {
        self.model.label_map.name(label).unwrap_or_default().to_owned()
    }

    fn grown_confusions(&self, listed: usize) -> Vec<GrownConfusion> {
        let (before, after) = (self.teacher.confusion(), self.student.confusion());
        let mut grown = Vec::new();
        for (label, predicted, student) in after.cells().filter(|(label, predicted, _)| label != predicted) {
            let teacher = before.count(label, predicted);
            if student > teacher {
                let (label, predicted) = (self.label(label), self.label(predicted));
                grown.push(GrownConfusion { label, predicted, teacher, student });
            }
        }
        grown.sort_by_key(|confusion| std::cmp::Reverse(confusion.student - confusion.teacher));
        grown.truncate(listed);
        grown
    }
}

pub(super) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(TEXT_SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
