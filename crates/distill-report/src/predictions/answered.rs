//! Predictions of answers that are a part of a text.

use distill_core::LabelMap;
use distill_task::{Label, Span, TaskId};

use super::{Predictions, Role};
use crate::error::ReportError;

/// One question with a model's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AnsweredRow {
    /// The row's id.
    pub id: String,
    /// The question.
    pub question: String,
    /// The text that the answer is a part of.
    pub context: String,
    /// The right answers, in characters of the context; empty where it has none. None where the row has no label.
    pub answers: Option<Vec<Span>>,
    /// What the model answers, in characters of the context; none for "no answer".
    pub prediction: Option<Span>,
    /// The probability that the model gives to its answer.
    pub score: f64,
}

/// What rows of answers have beyond other rows, `[N]` each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    pub contexts: Vec<String>,
    pub predictions: Vec<Option<Span>>,
    pub scores: Vec<f64>,
}

impl Answers {
    /// The rows in another order.
    pub fn reordered(&self, order: &[usize]) -> Answers {
        Answers {
            contexts: order.iter().map(|row| self.contexts[*row].clone()).collect(),
            predictions: order.iter().map(|row| self.predictions[*row]).collect(),
            scores: order.iter().map(|row| self.scores[*row]).collect(),
        }
    }
}

impl Predictions {
    /// Checks and takes over a model's answers. The rows' texts are the questions.
    ///
    /// # Errors
    /// As [`Predictions::new`], and [`ReportError::Row`] for an answer that is not in its context, or a score that is no
    /// probability.
    pub fn answered(name: impl Into<String>, role: Role, rows: Vec<AnsweredRow>) -> Result<Self, ReportError> {
        let name = name.into();
        let (mut ids, mut labels, mut questions) = (Vec::new(), Vec::new(), Vec::new());
        let mut answers = Answers::default();
        for (at, row) in rows.into_iter().enumerate() {
            check(&name, at + 1, &row)?;
            ids.push(row.id);
            labels.push(row.answers.map(Label::Spans));
            questions.push(row.question);
            answers.contexts.push(row.context);
            answers.predictions.push(row.prediction);
            answers.scores.push(row.score);
        }
        let empty = Self::empty(name, role, TaskId::QUESTION_ANSWERING, ids, LabelMap::new(["start", "end"])?);
        Predictions { labels, answers: Some(answers), ..empty }.checked()?.with_texts(questions)
    }

    /// The right answers of a row as texts, none where it has no label.
    pub(crate) fn gold_answers(&self, row: usize) -> Option<Vec<String>> {
        let Some(Label::Spans(spans)) = &self.labels[row] else { return None };
        let context = self.answers.as_ref().map_or("", |answers| &answers.contexts[row]);
        Some(spans.iter().map(|span| part(context, *span)).collect())
    }

    /// What is answered on a row; empty for "no answer".
    pub(crate) fn answer(&self, row: usize) -> String {
        let answers = self.answers.as_ref();
        let span = answers.and_then(|answers| Some((&answers.contexts[row], answers.predictions[row]?)));
        span.map_or(String::new(), |(context, span)| part(context, span))
    }
}

/// A part of a text, in characters.
fn part(text: &str, Span { start, end }: Span) -> String {
    text.chars().skip(start as usize).take(end.saturating_sub(start) as usize).collect()
}

fn check(model: &str, at: usize, row: &AnsweredRow) -> Result<(), ReportError> {
    let refuse = |problem: String| {
        Err(ReportError::Row { model: model.to_owned(), row: at, id: row.id.clone(), problem })
    };
    let length = row.context.chars().count();
    for span in row.answers.iter().flatten().chain(&row.prediction) {
        if span.start > span.end || span.end as usize > length {
            let Span { start, end } = span;
            return refuse(format!(
                "the answer from character {start} to {end} is not in its context of {length} characters"
            ));
        }
    }
    if !(0.0..=1.0).contains(&row.score) {
        return refuse(format!("its score is {}, expected a probability from 0 to 1", row.score));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, answers: Option<Vec<Span>>, prediction: Option<Span>) -> AnsweredRow {
        let (question, context) = ("who?".to_owned(), "Zoë ran".to_owned());
        AnsweredRow { id: id.to_owned(), question, context, answers, prediction, score: 0.5 }
    }

    #[test]
    fn answers_are_parts_of_their_context_in_characters() {
        let span = Span { start: 0, end: 3 };
        let rows = vec![row("a", Some(vec![span]), Some(span)), row("b", Some(vec![]), None)];
        let model = Predictions::answered("m", Role::Student, rows).unwrap();
        assert_eq!((model.gold_answers(0), model.answer(0)), (Some(vec!["Zoë".to_owned()]), "Zoë".to_owned()));
        assert_eq!((model.gold_answers(1), model.answer(1)), (Some(vec![]), String::new()));
    }

    #[test]
    fn an_answer_outside_of_its_context_is_refused_with_its_row() {
        let refused =
            |row: AnsweredRow| Predictions::answered("m", Role::Student, vec![row]).unwrap_err().to_string();
        let long = row("a", Some(vec![Span { start: 4, end: 8 }]), None);
        assert_eq!(
            refused(long),
            r#"m: row 1 (id "a"): the answer from character 4 to 8 is not in its context of 7 characters"#
        );
        assert!(
            refused(row("a", Some(vec![]), Some(Span { start: 2, end: 1 }))).contains("from character 2 to 1")
        );
        assert!(
            refused(AnsweredRow { score: f64::NAN, ..row("a", Some(vec![]), None) }).contains("score is NaN")
        );
        assert!(refused(row("a", None, None)).contains("none of the 1 rows has a label"));
    }
}
