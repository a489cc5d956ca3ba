//! Answers are judged as SQuAD's official scripts do and chosen as `transformers`' example does
//! (`scripts/goldens/answers.py`).

#![allow(clippy::unwrap_used)]

use distill_task::answers::{
    Answer, AnswerFigures, Rules, Score, SpanSettings, Window, best_answer, normalise, score,
};
use serde_json::Value;

const GOLDEN: &str = include_str!("golden/answers.json");

fn golden(part: &str) -> Vec<Value> {
    serde_json::from_str::<Value>(GOLDEN).unwrap()[part].as_array().unwrap().clone()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn near(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-12, "{what}: {found}, not {expected}");
}

#[test]
fn texts_are_normalised_as_by_squad() {
    for row in golden("normalised") {
        assert_eq!(normalise(row[0].as_str().unwrap()), row[1], "{:?}", row[0]);
    }
}

#[test]
fn every_answer_has_the_score_of_both_official_scripts() {
    let rows = golden("scored");
    assert_eq!(rows.len(), 300);
    for row in rows {
        for (rules, expected) in [(Rules::V1, &row[2]), (Rules::V2, &row[3])] {
            let found = score(row[0].as_str().unwrap(), &texts(&row[1]), rules);
            near(found.exact_match, &expected[0], &format!("exact match by {rules:?} of {row}"));
            near(found.f1, &expected[1], &format!("F1 by {rules:?} of {row}"));
        }
    }
}

#[test]
fn data_sets_have_the_figures_of_the_official_scripts() {
    let compare = |found: Option<Score>, expected: &Value, what: &str| {
        assert_eq!(found.is_none(), expected.is_null(), "{what}");
        if let Some(found) = found {
            near(found.exact_match, &Value::from(expected[0].as_f64().unwrap() / 100.0), what);
            near(found.f1, &Value::from(expected[1].as_f64().unwrap() / 100.0), what);
        }
    };
    for (at, data) in golden("data").iter().enumerate() {
        let tally = |rules| {
            let mut figures = AnswerFigures::new(rules);
            for row in data["rows"].as_array().unwrap() {
                figures.push(row[0].as_str().unwrap(), &texts(&row[1]));
            }
            figures.tally()
        };
        if !data["v1"].is_null() {
            compare(Some(tally(Rules::V1).all), &data["v1"], &format!("data set {at}, 1.1"));
        }
        let found = tally(Rules::V2);
        compare(Some(found.all), &data["v2"], &format!("data set {at}, 2.0"));
        compare(found.answerable, &data["answerable"], &format!("data set {at}, answerable"));
        compare(found.unanswerable, &data["unanswerable"], &format!("data set {at}, unanswerable"));
    }
}

/// Start logits, end logits and offsets of a window.
type Owned = (Vec<f32>, Vec<f32>, Vec<Option<(usize, usize)>>);

fn owned(window: &Value) -> Owned {
    let logits = |side: &str| {
        window[side].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap() as f32).collect()
    };
    let place = |end: &Value| end.as_u64().unwrap() as usize;
    let offset = |offset: &Value| (!offset.is_null()).then(|| (place(&offset[0]), place(&offset[1])));
    (logits("start"), logits("end"), window["offsets"].as_array().unwrap().iter().map(offset).collect())
}

fn answer(case: &Value) -> Answer {
    let windows: Vec<Owned> = case["windows"].as_array().unwrap().iter().map(owned).collect();
    let windows: Vec<Window<'_>> =
        windows.iter().map(|(start, end, offsets)| Window { start, end, offsets }).collect();
    let settings = SpanSettings {
        n_best: case["n_best"].as_u64().unwrap() as usize,
        max_answer_length: case["max_answer_length"].as_u64().unwrap() as usize,
        null_threshold: case["null_threshold"].as_f64(),
    };
    best_answer(&windows, &settings)
}

#[test]
fn the_best_span_over_windows_is_the_one_of_transformers() {
    let (mut none, mut spans) = (0, 0);
    for (at, case) in golden("spans").iter().enumerate() {
        let context: Vec<char> = case["context"].as_str().unwrap().chars().collect();
        let text = |span: Option<(usize, usize)>| {
            span.map_or(String::new(), |(start, end)| context[start..end].iter().collect())
        };
        let found = answer(case);
        let shown = found.span.map(|span| text(Some(span)));
        assert_eq!(shown.as_deref(), case["answer"].as_str(), "case {at}");
        if let Some(expected) = case["candidates"].as_array() {
            assert_eq!(found.candidates.len(), expected.len(), "case {at}");
            for (candidate, expected) in found.candidates.iter().zip(expected) {
                assert_eq!(text(candidate.span), expected[0].as_str().unwrap(), "case {at}");
                let probability = expected[1].as_f64().unwrap();
                assert!((candidate.probability - probability).abs() < 1e-6, "case {at}: {candidate:?}");
            }
            if found.span.is_some() { spans += 1 } else { none += 1 }
        }
    }
    assert!(spans > 20 && none > 10, "{spans} spans and {none} of no answer were compared");
}
