//! Answers that are a part of a text: figures against SQuAD's official scripts, and what every document says.
#![allow(clippy::unwrap_used)]

use distill_core::StopSignal;
use distill_report::documents::{self, card, html, markdown, terminal};
use distill_report::metrics::Metric;
use distill_report::{AnsweredRow, DataSet, Predictions, Report, ReportSettings, Role, build};
use distill_task::Span;
use serde_json::Value;

/// Figures of whole data sets by the official scripts.
const GOLDEN: &str = include_str!("../../distill-task/tests/golden/answers.json");

fn report(models: Vec<Predictions>, resamples: usize, gates: &[&str]) -> Report {
    let gates = gates.iter().map(|gate| (*gate).to_owned()).collect();
    let settings = ReportSettings { resamples, gates, ..ReportSettings::default() };
    let set = DataSet { name: "test".to_owned(), predictions: models };
    build(vec![set], &settings, &StopSignal::default()).unwrap()
}

/// A row whose context is made of its answers and the prediction.
fn row(id: usize, prediction: &str, answers: &[&str]) -> AnsweredRow {
    let mut context = String::new();
    let mut add = |text: &str| {
        let start = context.chars().count() as u32;
        context.push_str(text);
        context.push_str(" | ");
        Span { start, end: start + text.chars().count() as u32 }
    };
    let spans = answers.iter().map(|text| add(text)).collect();
    let prediction = (!prediction.is_empty()).then(|| add(prediction));
    AnsweredRow {
        id: format!("q{id}"),
        question: format!("question {id}?"),
        context,
        answers: Some(spans),
        prediction,
        score: 0.75,
    }
}

fn golden_rows(case: &Value) -> Vec<AnsweredRow> {
    let rows = case["rows"].as_array().unwrap().iter().enumerate();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.map(|(at, pair)| {
        let answers: Vec<String> = pair[1].as_array().unwrap().iter().map(text).collect();
        row(at, &text(&pair[0]), &answers.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .collect()
}

#[test]
fn the_figures_of_a_report_are_those_of_the_official_scripts() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    for case in golden["data"].as_array().unwrap() {
        let model = Predictions::answered("m", Role::Student, golden_rows(case)).unwrap();
        let report = report(vec![model], 100, &[]);
        // Without a question that has no answer the rules are those of SQuAD 1.1.
        let expected = if case["v1"].is_null() { &case["v2"] } else { &case["v1"] };
        let model = &report.data[0].models[0];
        for (metric, expected) in
            [Metric::ExactMatch, Metric::AnswerF1].into_iter().zip(expected.as_array().unwrap())
        {
            let (found, expected) = (model.value(metric).unwrap(), expected.as_f64().unwrap() / 100.0);
            assert!((found - expected).abs() < 1e-9, "{}: {found}, not {expected}", metric.name());
            let [low, high] = model.metrics[&metric].interval.unwrap();
            assert!(low <= found && found <= high, "{}: {low} to {high}", metric.name());
        }
    }
}

fn two() -> Vec<Predictions> {
    let texts = ["in Paris", "two cats", "1999", "a dog", "nobody"];
    let rows = |wrong: usize| {
        (0..50).map(move |at| {
            let right = texts[at % 5];
            let answers: &[&str] = if at % 5 == 4 { &[] } else { &[right, "something else"] };
            let own = match (at % wrong == 0, answers.is_empty()) {
                (true, _) => "quite another thing",
                (false, true) => "",
                (false, false) => right,
            };
            row(at, own, answers)
        })
    };
    vec![
        Predictions::answered("teacher", Role::Teacher, rows(25).collect()).unwrap(),
        // The same rows in another order: they are joined by id.
        Predictions::answered("student", Role::Student, rows(7).rev().collect()).unwrap(),
    ]
}

#[test]
fn models_are_compared_and_lost_rows_show_question_and_answers() {
    let gates = ["f1 >= 0.5 with confidence", "kept.exact_match >= 99%", "gain.f1 >= 0 vs constant"];
    let report = report(two(), 300, &gates);
    assert_eq!(report.gates.iter().map(|gate| gate.passed).collect::<Vec<_>>(), [true, false, true]);
    let set = &report.data[0];
    assert_eq!(set.headlines(), [Metric::AnswerF1, Metric::ExactMatch]);
    // Wrong are rows 0 and 25 of the teacher, and 0, 7, …, 49 of the student.
    let exact = |at: usize| set.models[at].value(Metric::ExactMatch).unwrap();
    assert_eq!((exact(0), exact(1)), (0.96, 0.84));
    let constant = set.constant.as_ref().unwrap();
    assert_eq!(
        (constant.labels.as_slice(), constant.metrics[&Metric::ExactMatch].value),
        (["no answer".to_owned()].as_slice(), 0.2)
    );
    let errors = &set.errors[0];
    assert_eq!((errors.lost, errors.won), (7, 1));
    let lost = errors.lost_rows.iter().find(|row| row.id == "q7").unwrap();
    assert_eq!(lost.text.as_deref(), Some("question 7?"));
    assert_eq!(
        (lost.label.as_str(), lost.predicted.as_str()),
        ("1999 | something else", "quite another thing")
    );
    assert_eq!((lost.confidence, set.models[1].value(Metric::Kl)), (Some(0.75), None));
    // Both are wrong on row 0; on the rows where one alone is, they differ.
    assert_eq!(set.models[1].value(Metric::Agreement), Some(1.0 - 8.0 / 50.0));
}

#[test]
fn every_document_names_the_figures_of_answers() {
    let report = report(two(), 100, &["kept.f1 >= 0.1"]);
    let read: Report = serde_json::from_str(&documents::json(&report).unwrap()).unwrap();
    assert_eq!(read, report);
    let texts = [
        markdown::render(&report),
        html::render(&report),
        terminal::render(&report, &[], terminal::TerminalStyle::default()),
    ];
    for text in &texts {
        assert!(
            text.contains("answer F1") && text.contains("exact match") && text.contains("no answer"),
            "{text}"
        );
    }
    for text in [&texts[0], &texts[2]] {
        assert!(!text.contains("log-loss"), "a column without values: {text}");
    }
    let info = card::CardInfo { model: "student".to_owned(), ..card::CardInfo::default() };
    assert!(card::render(&report, &info).unwrap().contains("type: exact_match"));
}
