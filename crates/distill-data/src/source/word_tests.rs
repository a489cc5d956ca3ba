//! Rows of words from every format, and what is said of files that have none.

use std::path::PathBuf;

use distill_task::TaskId;
use tempfile::TempDir;

use super::*;

pub(super) fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    distill_core::atomic::write(&path, bytes).unwrap();
    (directory, path)
}

/// Text, words, tags and place of each row of words.
type Found = (String, String, String, String);

fn found(row: Row) -> Found {
    let tags = match row.label {
        Some(Label::Tags(tags)) => {
            let tag = |tag: Option<RawLabel>| tag.map_or("-".to_owned(), |tag| tag.to_name());
            tags.into_iter().map(tag).collect::<Vec<_>>().join("|")
        }
        Some(other) => panic!("{other:?}"),
        None => "none".to_owned(),
    };
    (row.text, row.tokens.unwrap().join("|"), tags, row.place.at.to_string())
}

pub(super) fn rows(name: &str, text: &str, columns: &Columns) -> Result<Vec<Found>, String> {
    let (_directory, path) = file(name, text.as_bytes());
    let source = Source::open(&path, columns).unwrap().labelled(TaskId::TOKEN_CLASSIFICATION);
    let rows = source.rows().map_err(|error| error.to_string())?;
    rows.map(|row| row.map(found).map_err(|error| error.to_string())).collect()
}

#[test]
fn json_has_lists_of_words_and_tags() {
    let text = concat!(
        "{\"tokens\": [\"New York\", \"\", \"x\"], \"tags\": [\"B-LOC\", null, \"O\"]}\n",
        "{\"tokens\": [\"a\"], \"tags\": null}\n",
        "{\"tokens\": [\"a\", \"b\"], \"tags\": [2, -100]}\n",
        "{\"tokens\": [\"a\"], \"tags\": [null]}\n",
        "{\"tokens\": [\"a\"]}\n",
    );
    let found = rows("a.jsonl", text, &Columns::default()).unwrap();
    let tags: Vec<&str> = found.iter().map(|row| row.2.as_str()).collect();
    assert_eq!(tags, ["B-LOC|-|O", "none", "2|-", "none", "none"]);
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("New York  x", "New York||x"));
    let columns = Columns { text: Some("w".into()), label: Some("ner".into()), ..Columns::default() };
    assert_eq!(rows("a.jsonl", "{\"w\": [\"a\"], \"ner\": [\"O\"]}", &columns).unwrap()[0].2, "O");
}

#[test]
fn what_is_no_row_of_words_is_named_with_its_line() {
    for (text, expected) in [
        ("{\"tokens\": [\"a\", \"b\"], \"tags\": [\"O\"]}", "line 1: column \"tags\": 1 tag for 2 words"),
        ("{\"tokens\": []}", "line 1: column \"tokens\": a row without words"),
        ("{\"tokens\": [\"a\", null]}", "column \"tokens\": word 2 is null, not a string"),
        ("{\"tokens\": [\"a\", 3]}", "word 2 is 3, not a string"),
        ("{\"tokens\": \"a b\"}", "\"a b\" is not a list of words"),
        ("{\"tokens\": null}", "null is not a list of words"),
        ("{\"tokens\": [\"a\"], \"tags\": \"O\"}", "column \"tags\": \"O\" is not a list of tags"),
        ("{\"text\": \"a\"}", "no column \"tokens\" (for tokens); there are \"text\""),
    ] {
        let error = rows("a.jsonl", text, &Columns::default()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let many = format!("{{\"tokens\": [{}\"a\"]}}", "\"a\",".repeat(1 << 16));
    assert!(
        rows("a.jsonl", &many, &Columns::default()).unwrap_err().contains("a list of more than 65536 values")
    );
}

#[test]
fn a_format_without_such_rows_says_which_have_them() {
    let open = |name: &str, text: &str, task: TaskId| {
        let (_directory, path) = file(name, text.as_bytes());
        let source = Source::open(&path, &Columns::default()).unwrap().labelled(task);
        source.rows().map(|_| ()).map_err(|error| (error.to_string(), error.category()))
    };
    let words = TaskId::TOKEN_CLASSIFICATION;
    let (error, category) = open("a.csv", "tokens,tags\na,O\n", words).unwrap_err();
    assert!(error.contains("CSV and TSV have no lists of words"), "{error}");
    assert_eq!(category, distill_core::Category::Usage);
    for (name, expected) in [("a.txt", "for token classification only"), ("a.conll", "it has rows of words")] {
        let (error, _) = open(name, "a O\n", TaskId::default()).unwrap_err();
        assert!(error.contains(expected) && error.contains("--task token_classification"), "{error}");
        open(name, "a O\n", words).unwrap();
    }
    assert!(open("a.conllu", "1\ta\n", TaskId::default()).is_err());
}

#[test]
fn the_hash_of_words_is_not_that_of_their_text() {
    let text = "{\"tokens\": [\"a b\", \"c\"]}\n{\"tokens\": [\"a\", \"b c\"]}\n";
    let (_directory, path) = file("a.jsonl", text.as_bytes());
    let source = Source::open(&path, &Columns::default()).unwrap().labelled(TaskId::TOKEN_CLASSIFICATION);
    let rows: Vec<Row> = source.rows().unwrap().map(Result::unwrap).collect();
    assert_eq!(rows[0].text, rows[1].text);
    assert_ne!(rows[0].text_hash(), rows[1].text_hash());
    assert_eq!(rows[0].text_hash(), distill_core::hash::text_hash("a b\u{1f}c", None));
}

#[test]
fn a_source_says_which_task_its_rows_are_for() {
    let suggested = |name: &str, text: &str| {
        let (_directory, path) = file(name, text.as_bytes());
        Source::open(&path, &Columns::default()).unwrap().suggested_task().unwrap()
    };
    assert_eq!(suggested("a.conllu", ""), Some(TaskId::TOKEN_CLASSIFICATION));
    assert_eq!(suggested("a.bio", ""), Some(TaskId::TOKEN_CLASSIFICATION));
    assert_eq!(suggested("a.txt", "a O\n"), None);
    assert_eq!(suggested("a.jsonl", "{\"tokens\": [\"a\"]}"), Some(TaskId::TOKEN_CLASSIFICATION));
    assert_eq!(suggested("a.jsonl", "{\"text\": \"a\"}"), None);
    assert_eq!(suggested("a.csv", "tokens\na"), None);
}
