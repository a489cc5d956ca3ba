//! Questions from a file in SQuAD's form: one JSON object with articles, paragraphs, and questions with their answers.
//!
//! Source: SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, arXiv:1606.05250, and 2018, arXiv:1806.03822). A question of version 2.0
//! that is impossible has no answers.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use distill_core::atomic::FileError;
use distill_core::open;
use serde::Deserialize;

use super::answers::{self, Answer};
use super::columns::{Columns, Role};
use super::row::RawRow;
use super::watch::{Hashed, SharedHasher};
use crate::error::{At, DataError, Place};
use crate::quiet::one_line;

/// The largest file: it is held in memory. SQuAD 2.0 has 42 MB.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Deserialize)]
struct Whole {
    data: Vec<Article>,
}

#[derive(Deserialize)]
struct Article {
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    id: String,
    question: String,
    answers: Option<Vec<Given>>,
    #[serde(default)]
    is_impossible: bool,
}

#[derive(Deserialize)]
struct Given {
    text: String,
    answer_start: i64,
}

/// The questions of a file, one after another.
pub(super) struct SquadRows {
    file: Arc<Path>,
    paragraphs: std::vec::IntoIter<Paragraph>,
    current: Option<(String, std::vec::IntoIter<Question>)>,
    without_labels: bool,
    column: String,
    row: u64,
}

impl SquadRows {
    pub(super) fn open(
        path: &Arc<Path>,
        columns: &Columns,
        hasher: Option<SharedHasher>,
    ) -> Result<Self, DataError> {
        check_columns(path, columns)?;
        let file = open::to_read(path).map_err(FileError::of("open", path))?;
        let mut bytes = Vec::new();
        let read = Hashed::new(file, hasher).take(MAX_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(FileError::of("read", path))?;
        let unfit = |what: String| DataError::Unsupported { file: path.to_path_buf(), what };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(unfit(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
        }
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let whole: Whole = serde_json::from_slice(text)
            .map_err(|error| unfit(format!("it is not in SQuAD's form: {}", one_line(&error.to_string()))))?;
        let paragraphs: Vec<Paragraph> =
            whole.data.into_iter().flat_map(|article| article.paragraphs).collect();
        Ok(SquadRows {
            file: Arc::clone(path),
            paragraphs: paragraphs.into_iter(),
            current: None,
            without_labels: columns.label_is_off(),
            column: columns.name(Role::Label).to_owned(),
            row: 0,
        })
    }

    /// The next question.
    pub(super) fn next_row(&mut self) -> Result<Option<RawRow>, DataError> {
        loop {
            if let Some((context, questions)) = &mut self.current
                && let Some(question) = questions.next()
            {
                self.row += 1;
                let place = Place { file: Arc::clone(&self.file), at: At::Row(self.row) };
                let label = match answers_of(question.answers, question.is_impossible) {
                    Some(given) if !self.without_labels => Some(
                        answers::label_of(given, context)
                            .map_err(|what| DataError::value(&place, &self.column, what))?,
                    ),
                    _ => None,
                };
                let (text_pair, tokens) = (Some(context.clone()), None);
                return Ok(Some(RawRow {
                    id: Some(question.id),
                    text: question.question,
                    text_pair,
                    tokens,
                    label,
                    place,
                }));
            }
            let Some(Paragraph { context, qas }) = self.paragraphs.next() else { return Ok(None) };
            self.current = Some((context, qas.into_iter()));
        }
    }
}

/// Refuses columns of other names: the names of the fields are fixed.
fn check_columns(file: &Path, columns: &Columns) -> Result<(), DataError> {
    let is_other = |role: &Role| match columns.named(*role) {
        Some(name) => name != columns.word(*role) && !columns.is_off(*role),
        None => false,
    };
    let Some(role) = Role::ALL.into_iter().find(is_other) else { return Ok(()) };
    let what = format!(
        "there is no column {:?} in SQuAD's form, which has id, question, context and answers; rows with other columns are in \
         .jsonl and .parquet",
        columns.name(role)
    );
    Err(DataError::Unsupported { file: file.to_owned(), what })
}

/// The answers of a question; none where the file does not say.
fn answers_of(given: Option<Vec<Given>>, is_impossible: bool) -> Option<Vec<Answer>> {
    let answer = |given: Given| Answer { text: given.text, start: given.answer_start };
    match given {
        // An impossible question may have answers that only look right.
        _ if is_impossible => Some(Vec::new()),
        given => given.map(|given| given.into_iter().map(answer).collect()),
    }
}

#[cfg(test)]
mod tests {
    use distill_task::{Label, Span, TaskId};

    use super::super::word_tests::file;
    use super::super::{RawLabel, Source};
    use super::*;

    type Found = (String, String, String, Option<Vec<(u32, u32)>>);

    fn rows(name: &str, text: &str, columns: &Columns) -> Result<Vec<Found>, String> {
        let (_directory, path) = file(name, text.as_bytes());
        let source = Source::open(&path, columns).unwrap().labelled(TaskId::QUESTION_ANSWERING);
        let rows = source.rows().map_err(|error| error.to_string())?;
        let spans = |label: Option<Label<RawLabel>>| match label {
            Some(Label::Spans(spans)) => {
                Some(spans.iter().map(|Span { start, end }| (*start, *end)).collect::<Vec<_>>())
            }
            None => None,
            other => panic!("{other:?}"),
        };
        rows.map(|row| {
            let row = row.map_err(|error| error.to_string())?;
            Ok((row.id, row.text, row.text_pair.unwrap_or_default(), spans(row.label)))
        })
        .collect()
    }

    const SQUAD: &str = r#"{"version": "v2.0", "data": [{"title": "x", "paragraphs": [
        {"context": "Paris is in France.", "qas": [
            {"id": "a", "question": "Where is Paris?", "answers": [{"text": "France", "answer_start": 12},
                {"text": "in France", "answer_start": 9}, {"text": "France", "answer_start": 12}], "is_impossible": false},
            {"id": "b", "question": "Why?", "answers": [], "is_impossible": true,
                "plausible_answers": [{"text": "Paris", "answer_start": 0}]}]},
        {"context": "é", "qas": [{"id": "c", "question": "What?"}]}]}]}"#;

    #[test]
    fn questions_have_their_context_and_spans_of_it() {
        let found = rows("a.json", SQUAD, &Columns::default()).unwrap();
        let context = "Paris is in France.".to_owned();
        assert_eq!(
            found[0],
            ("a".into(), "Where is Paris?".into(), context.clone(), Some(vec![(12, 18), (9, 18)]))
        );
        assert_eq!(found[1], ("b".into(), "Why?".into(), context, Some(vec![])));
        assert_eq!((found[2].0.as_str(), found[2].3.clone()), ("c", None));
        let columns = Columns { label: Some("none".to_owned()), ..Columns::default() };
        assert_eq!(rows("a.json", SQUAD, &columns).unwrap()[0].3, None);
    }

    #[test]
    fn columns_of_json_say_the_same() {
        let text = concat!(
            "{\"id\": \"a\", \"question\": \"Where?\", \"context\": \"é in\", ",
            "\"answers\": {\"text\": [\"in\"], \"answer_start\": [2]}}\n",
            "{\"id\": \"b\", \"question\": \"Where?\", \"context\": \"é in\", \"answers\": {\"text\": [], \"answer_start\": []}}\n",
            "{\"id\": \"c\", \"question\": \"Where?\", \"context\": \"in\", \"answers\": [{\"text\": \"in\", \"answer_start\": 0}]}\n",
            "{\"id\": \"d\", \"question\": \"Where?\", \"context\": \"in\", \"answers\": null}\n",
        );
        let found = rows("a.jsonl", text, &Columns::default()).unwrap();
        let spans: Vec<_> = found.iter().map(|row| row.3.clone()).collect();
        assert_eq!(spans, [Some(vec![(2, 4)]), Some(vec![]), Some(vec![(0, 2)]), None]);
    }

    #[test]
    fn columns_of_other_names_are_refused_and_not_passed_over() {
        let named = |text: &str| Columns { text: Some(text.to_owned()), ..Columns::default() };
        assert!(rows("a.json", SQUAD, &named("question")).is_ok());
        let error = rows("a.json", SQUAD, &named("title")).unwrap_err();
        assert!(error.contains("there is no column \"title\" in SQuAD's form"), "{error}");
        let columns = Columns { label: Some("title".to_owned()), ..Columns::default() };
        assert!(rows("a.json", SQUAD, &columns).unwrap_err().contains("no column \"title\""));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_row() {
        let wrong = SQUAD.replace("\"answer_start\": 9", "\"answer_start\": 8");
        let error = rows("a.json", &wrong, &Columns::default()).unwrap_err();
        assert!(
            error.contains("a.json: row 1 (from 1): column \"answers\": the answer \"in France\""),
            "{error}"
        );
        for (text, expected) in [
            ("{\"data\": [{\"paragraphs\": [{\"qas\": []}]}]}", "not in SQuAD's form: missing field `context`"),
            ("[1]", "not in SQuAD's form"),
            ("{\"data\": []}", "has no rows"),
        ] {
            let error = rows("a.json", text, &Columns::default()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        for (text, expected) in [
            (
                "{\"question\": \"a\", \"context\": \"b\", \"answers\": {\"text\": [\"b\"]}}",
                "column \"answers\"",
            ),
            (
                "{\"question\": \"a\", \"context\": \"b\", \"answers\": \"b\"}",
                "\"b\" is not answers with text and answer_start",
            ),
            (
                "{\"question\": \"a\", \"context\": \"b\", \"answers\": {\"text\": [\"c\"], \"answer_start\": [0]}}",
                "line 1: column \"answers\": the answer \"c\"",
            ),
            ("{\"question\": \"a\"}", "no column \"context\" (for context)"),
            ("{\"question\": \"a\", \"context\": null, \"answers\": []}", "line 1: column \"context\": null"),
            (
                "{\"question\": \"a\", \"context\": \"b\"}\n{\"question\": \"a\"}",
                "line 2: column \"context\": missing here",
            ),
        ] {
            let error = rows("a.jsonl", text, &Columns::default()).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let (_directory, path) = file("a.json", SQUAD.as_bytes());
        let error =
            Source::open(&path, &Columns::default()).unwrap().rows().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("--task question_answering"), "{error}");
    }
}
