//! One model that answers questions with a part of a text.

use std::collections::BTreeMap;

use distill_task::answers::{Rules, Score, normalise, score};

use super::{Constant, Judged, RowMeans, model_report, one_each};
use crate::metrics::Metric;
use crate::predictions::Predictions;

/// What the constant answer is called.
const NO_ANSWER: &str = "no answer";

/// Rows whose question is answered with a part of a text.
pub(crate) struct Answered;

impl RowMeans for Answered {
    fn judge(&self, model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
        judge(model, rows, teacher)
    }

    fn shared(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
        shared(model, rows)
    }

    fn constant(&self, _model: &Predictions, _rows: &[usize], means: &[f64]) -> Constant {
        constant(means)
    }

    fn by_label(&self, model: &Predictions, rows: &[usize]) -> Vec<Vec<String>> {
        one_each(rows.iter().map(|row| kind(model, *row)))
    }

    fn shown(&self, model: &Predictions, _teacher: &Predictions, row: usize) -> (String, String) {
        shown(model, row)
    }

    fn predicted(&self, model: &Predictions, row: usize) -> Vec<i32> {
        let span = model.answers.as_ref().and_then(|answers| answers.predictions[row]);
        span.map_or(Vec::new(), |span| vec![span.start as i32, span.end as i32])
    }

    fn confidence(&self, model: &Predictions, row: usize) -> Option<f64> {
        model.answers.as_ref().map(|answers| answers.scores[row])
    }
}

/// Figures, and what their draws need.
fn judge(model: &Predictions, rows: &[usize], teacher: Option<&Predictions>) -> Judged {
    let rules = rules(model, rows);
    let judged: Vec<Score> = rows
        .iter()
        .map(|row| score(&model.answer(*row), &model.gold_answers(*row).unwrap_or_default(), rules))
        .collect();
    let own: Vec<Vec<f64>> = vec![
        judged.iter().map(|score| score.exact_match).collect(),
        judged.iter().map(|score| score.f1).collect(),
    ];
    let mean = |column: &[f64]| column.iter().sum::<f64>() / column.len().max(1) as f64;
    let mut values: BTreeMap<Metric, f64> =
        METRICS.into_iter().zip(own.iter().map(|column| mean(column))).collect();
    let of_all_rows: Vec<(Metric, Vec<f64>)> =
        teacher.map(|teacher| (Metric::Agreement, same(teacher, model))).into_iter().collect();
    for (metric, column) in &of_all_rows {
        values.insert(*metric, mean(column));
    }
    Judged {
        report: model_report(model, &values, Vec::new()),
        right: judged.iter().map(|score| score.exact_match == 1.0).collect(),
        errors: Vec::new(),
        own,
        from_means: Box::new(|_, own| (METRICS.into_iter().zip(own.iter().copied()).collect(), Vec::new())),
        influences: Vec::new(),
        of_all_rows,
        values,
    }
}

const METRICS: [Metric; 2] = [Metric::ExactMatch, Metric::AnswerF1];

/// Those of SQuAD 2.0 where a row has no answer, else those of 1.1.
fn rules(model: &Predictions, rows: &[usize]) -> Rules {
    let is_unanswerable = |row: &usize| model.gold_answers(*row).is_some_and(|answers| answers.is_empty());
    if rows.iter().any(is_unanswerable) { Rules::V2 } else { Rules::V1 }
}

/// By row, whether both models' answers are the same after normalisation.
fn same(teacher: &Predictions, model: &Predictions) -> Vec<f64> {
    let answer = |model: &Predictions, row| normalise(&model.answer(row));
    (0..model.rows()).map(|row| if answer(teacher, row) == answer(model, row) { 1.0 } else { 0.0 }).collect()
}

/// By row, how good it is to say that there is no answer: `[2][n]`.
fn shared(model: &Predictions, rows: &[usize]) -> Vec<Vec<f64>> {
    let rules = rules(model, rows);
    let scores: Vec<Score> =
        rows.iter().map(|row| score("", &model.gold_answers(*row).unwrap_or_default(), rules)).collect();
    vec![scores.iter().map(|score| score.exact_match).collect(), scores.iter().map(|score| score.f1).collect()]
}

/// Always saying that there is no answer.
fn constant(means: &[f64]) -> Constant {
    Constant::new(vec![NO_ANSWER.to_owned()], None, means, |means| {
        METRICS.into_iter().zip(means.iter().copied()).collect()
    })
}

/// What a row is cut by as its label.
fn kind(model: &Predictions, row: usize) -> String {
    let is_unanswerable = model.gold_answers(row).is_some_and(|answers| answers.is_empty());
    if is_unanswerable { NO_ANSWER } else { "an answer" }.to_owned()
}

/// A row's right answers, each once, and what a model answers.
fn shown(model: &Predictions, row: usize) -> (String, String) {
    let named = |text: String| if text.is_empty() { NO_ANSWER.to_owned() } else { text };
    let mut answers = model.gold_answers(row).unwrap_or_default();
    answers.sort_unstable();
    answers.dedup();
    (named(answers.join(" | ")), named(model.answer(row)))
}
