//! Answers in a text, as SQuAD and `datasets` write them: their text, and the character of the context at which each
//! begins.

use distill_task::Span;

use super::columns::RowKind;
use super::found::Found;
use super::parquet_values::text_of;
use crate::parquet::Value;

/// An answer as it stands in the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub text: String,
    /// Its first character in the context, from 0.
    pub start: i64,
}

/// Answers from a list of texts and one of starts; none where the lists have different lengths.
pub(crate) fn of_lists(texts: Vec<String>, starts: Vec<i64>) -> Option<Vec<Answer>> {
    let each = |(text, start)| Answer { text, start };
    (texts.len() == starts.len()).then(|| texts.into_iter().zip(starts).map(each).collect())
}

/// The answers of a row; none where both lists are null.
///
/// # Errors
/// For lists that do not belong together, and for values that are null or of another type.
pub(super) fn of_columns(
    texts: Option<Vec<Option<Value>>>,
    starts: Option<Vec<Option<Value>>>,
) -> Result<Option<Found>, String> {
    let (texts, starts) = match (texts, starts) {
        (Some(texts), Some(starts)) => (texts, starts),
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err("text is null, and answer_start is not".to_owned()),
        (Some(_), None) => return Err("answer_start is null, and text is not".to_owned()),
    };
    let start = |value| match value {
        Some(Value::Integer(start)) => Ok(start),
        _ => Err("an answer_start is not a whole number".to_owned()),
    };
    let starts: Vec<i64> = starts.into_iter().map(start).collect::<Result<_, _>>()?;
    let count = (texts.len(), starts.len());
    let text = |text| text_of(text)?.ok_or_else(|| "the text of an answer is null".to_owned());
    let answers = of_lists(texts.into_iter().map(text).collect::<Result<_, _>>()?, starts);
    answers
        .map(|answers| Some(Found::Answers(answers)))
        .ok_or_else(|| format!("{} texts and {} answer_starts", count.0, count.1))
}

/// The label of a row with these answers: the different spans of its context, in characters. Without an answer the
/// label says that there is none.
///
/// # Errors
/// For an answer that is empty, or not in the context where it is said to be.
pub(crate) fn label_of(answers: Vec<Answer>, context: &str) -> Result<Found, String> {
    let mut spans: Vec<Span> = Vec::new();
    for answer in &answers {
        let span = span_of(answer, context)?;
        if !spans.contains(&span) {
            spans.push(span);
        }
    }
    Ok(Found::Spans(spans))
}

/// The label of a row that has this text: its answers are looked for in it.
pub(super) fn in_context(label: Option<Found>, context: Option<&str>) -> Result<Option<Found>, String> {
    match label {
        Some(Found::Answers(answers)) => label_of(answers, context.unwrap_or_default()).map(Some),
        label => Ok(label),
    }
}

/// The second text of a row of this kind; a question always has a context, which may be empty.
///
/// # Errors
/// For a question without a context.
pub(super) fn context_of(kind: RowKind, text_pair: Option<String>) -> Result<Option<String>, String> {
    match (kind, text_pair) {
        (RowKind::Answers, None) => Err("null".to_owned()),
        (_, text_pair) => Ok(text_pair),
    }
}

/// Spans from the start and end of each in turn, as tables of logits have them.
pub(crate) fn of_pairs(ends: &[Option<i64>]) -> Result<Found, String> {
    let (pairs, rest) = ends.as_chunks::<2>();
    let end = |end: Option<i64>| end.and_then(|end| u32::try_from(end).ok());
    let span = |[first, last]: &[Option<i64>; 2]| {
        let (start, end) = (end(*first)?, end(*last)?);
        (start < end).then_some(Span { start, end })
    };
    match (pairs.iter().map(span).collect::<Option<Vec<_>>>(), rest) {
        (Some(spans), []) => Ok(Found::Spans(spans)),
        _ => Err("not a list of starts and ends of spans".to_owned()),
    }
}

fn span_of(answer: &Answer, context: &str) -> Result<Span, String> {
    let Answer { text, start } = answer;
    if text.is_empty() {
        return Err("an empty answer; a question without an answer has none".to_owned());
    }
    let found =
        usize::try_from(*start).ok().filter(|start| *start < context.len() && stands_at(text, context, *start));
    let end = |start: usize| u32::try_from(start + text.chars().count()).ok();
    match found.and_then(|start| Some(Span { start: u32::try_from(start).ok()?, end: end(start)? })) {
        Some(span) => Ok(span),
        None => Err(format!(
            "the answer {:?} is not at character {start} of its context{}",
            text.chars().take(80).collect::<String>(),
            elsewhere(text, context)
        )),
    }
}

/// Whether a text is in another from this character on.
fn stands_at(text: &str, context: &str, start: usize) -> bool {
    let place = context.char_indices().nth(start).map(|(place, _)| place);
    place.is_some_and(|place| context[place..].starts_with(text))
}

/// Where the answer is instead, for messages.
fn elsewhere(text: &str, context: &str) -> String {
    let mut places = context.match_indices(text).map(|(place, _)| context[..place].chars().count());
    match (places.next(), places.next()) {
        (Some(only), None) => format!("; it is at character {only}"),
        (Some(_), Some(_)) => "; it is at several others".to_owned(),
        (None, _) => ", and nowhere else in it".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(answers: &[(&str, i64)], context: &str) -> Result<Vec<(u32, u32)>, String> {
        let answers = answers.iter().map(|(text, start)| Answer { text: (*text).to_owned(), start: *start });
        match label_of(answers.collect(), context)? {
            Found::Spans(spans) => Ok(spans.iter().map(|span| (span.start, span.end)).collect()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn answers_are_spans_of_characters_each_once() {
        assert_eq!(label(&[("Zürich", 2), ("é", 0), ("Zürich", 2)], "é Zürich 😀"), Ok(vec![(2, 8), (0, 1)]));
        assert_eq!(label(&[("😀", 9)], "é Zürich 😀"), Ok(vec![(9, 10)]));
        assert_eq!(label(&[], "x"), Ok(vec![]));
    }

    #[test]
    fn an_answer_that_is_elsewhere_is_refused_with_where() {
        for (answer, context, expected) in [
            (("is", 0), "what is it", "\"is\" is not at character 0 of its context; it is at character 5"),
            (("a", 1), "a ba", "it is at several others"),
            (("b", 0), "what", "nowhere else"),
            (("what", -1), "what", "not at character -1"),
            (("what", i64::MAX), "what", "it is at character 0"),
            (("t!", 3), "what", "nowhere else"),
            (("", 0), "what", "an empty answer"),
        ] {
            let error = label(&[answer], context).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn columns_of_answers_are_read_whole_or_refused() {
        let text = |text: &str| Some(Value::Text(text.into()));
        let start = |start| Some(Value::Integer(start));
        let read = |texts, starts| of_columns(texts, starts).map(|found| found.is_some());
        assert_eq!(read(None, None), Ok(false));
        assert_eq!(read(Some(vec![]), Some(vec![])), Ok(true));
        assert_eq!(read(Some(vec![text("a")]), Some(vec![start(0)])), Ok(true));
        for (texts, starts, expected) in [
            (None, Some(vec![start(0)]), "text is null, and answer_start is not"),
            (Some(vec![text("a")]), None, "answer_start is null, and text is not"),
            (Some(vec![None]), Some(vec![start(0)]), "the text of an answer is null"),
            (Some(vec![text("a")]), Some(vec![None]), "an answer_start is not a whole number"),
            (Some(vec![text("a")]), Some(vec![]), "1 texts and 0 answer_starts"),
        ] {
            assert_eq!(read(texts, starts).unwrap_err(), expected);
        }
    }

    #[test]
    fn lists_of_different_lengths_are_no_answers() {
        assert_eq!(of_lists(vec!["a".to_owned()], vec![]), None);
        assert_eq!(of_lists(vec![], vec![]), Some(vec![]));
    }
}
