//! Rows with a question and the part of a text that answers it, as lines of JSONL or CSV.

use distill_data::logits::LogitsRow;
use distill_task::answers::{Answer, SpanSettings};
use distill_task::{Label, Span};
use serde_json::{Value, json};

/// How answers are chosen: as `transformers`' script for SQuAD 2.0 does it, where "no answer" is one of the answers.
pub fn settings() -> SpanSettings {
    SpanSettings { null_threshold: Some(0.0), ..SpanSettings::default() }
}

/// Of one row the cells of a CSV line, the right answers with bars between them, and the fields of a JSON object. No answer is
/// an empty text, as in SQuAD's files of predictions.
pub fn of_row(row: &LogitsRow, answer: &Answer) -> (Vec<String>, Value) {
    let context = row.text_pair.as_deref().unwrap_or_default();
    let prediction = answer.span.map_or("", |(start, end)| part(context, start, end));
    let right: Option<Vec<&str>> = match &row.label {
        Some(Label::Spans(spans)) => Some(
            spans.iter().map(|Span { start, end }| part(context, *start as usize, *end as usize)).collect(),
        ),
        _ => None,
    };
    let shown = right.as_ref().map_or(String::new(), |right| match right.is_empty() {
        true => "|".to_owned(),
        false => right.join("|"),
    });
    let cells = vec![shown, prediction.to_owned(), format!("{:.6}", answer.score)];
    let object = json!({
        "question": row.text, "answers": right, "prediction": prediction,
        "start": answer.span.map(|(start, _)| start), "end": answer.span.map(|(_, end)| end), "score": answer.score,
    });
    (cells, object)
}

/// A part of a text, in characters.
fn part(text: &str, start: usize, end: usize) -> &str {
    let at = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte);
    text.get(at(start)..at(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_answer_with_its_place_in_characters() {
        let row = LogitsRow {
            text: Some("who?".to_owned()),
            text_pair: Some("Zoë ran".to_owned()),
            label: Some(Label::Spans(vec![Span { start: 0, end: 3 }])),
            ..LogitsRow::default()
        };
        let answer = |span| Answer { span, score: 0.75, null_score_diff: None, candidates: Vec::new() };
        let (cells, object) = of_row(&row, &answer(Some((4, 7))));
        assert_eq!(cells, ["Zoë", "ran", "0.750000"]);
        assert_eq!(
            object,
            json!({"question": "who?", "answers": ["Zoë"], "prediction": "ran", "start": 4, "end": 7, "score": 0.75})
        );
        let none = LogitsRow { label: Some(Label::Spans(vec![])), ..row.clone() };
        let (cells, object) = of_row(&none, &answer(None));
        assert_eq!((&cells[..2], &object["prediction"]), (&["|".to_owned(), String::new()][..], &json!("")));
        assert!(object["start"].is_null() && object["answers"] == json!([]));
        assert!(of_row(&LogitsRow { label: None, ..row }, &answer(None)).1["answers"].is_null());
    }
}
