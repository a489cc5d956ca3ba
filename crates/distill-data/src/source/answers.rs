//! Answers in a text, as SQuAD and `datasets` write them: their text, and the character of the context at which each
//! begins.

use distill_task::Span;

use super::found::Found;

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
    fn lists_of_different_lengths_are_no_answers() {
        assert_eq!(of_lists(vec!["a".to_owned()], vec![]), None);
        assert_eq!(of_lists(vec![], vec![]), Some(vec![]));
    }
}
