//! Rows with several predictions: format version 2.

use distill_core::{LabelMap, Silent, StopSignal};
use distill_task::TaskId;

use super::super::{Fingerprint, LogitsRow, LogitsTable, LogitsWriter, Manifest, Shard, Store, WriterOptions};
use super::fingerprint as of_rows;
use crate::source::{Label, hash_of};

fn fingerprint() -> Fingerprint {
    let task = TaskId::TOKEN_CLASSIFICATION;
    let label_map = LabelMap::new(["O", "B-X", "I-X"]).unwrap();
    Fingerprint { problem_type: task, label_map, format_version: Fingerprint::version_of(task), ..of_rows() }
}

/// A row of these words, of which the second of three has no sub-word.
fn row(row: i64, words: &[&str], tags: Option<&[Option<i32>]>) -> LogitsRow {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let positions: Vec<i32> = (0..words.len() as i32).filter(|word| words.len() != 3 || *word != 1).collect();
    LogitsRow {
        row,
        id: format!("id-{row}"),
        text_hash: hash_of("", None, Some(&words)),
        text: Some(words.join(" ")),
        label: tags.map(|tags| Label::Tags(tags.to_vec())),
        logits: (0..positions.len() * 3).map(|at| at as f32 * 0.25 - row as f32).collect(),
        positions,
        tokens: Some(words),
        ..LogitsRow::default()
    }
}

fn rows() -> Vec<LogitsRow> {
    vec![
        row(0, &["New York", "\u{200b}", "is"], Some(&[Some(1), Some(2), None])),
        row(1, &["a"], None),
        LogitsRow { positions: vec![], logits: vec![], ..row(2, &["\u{200b}"], Some(&[Some(0)])) },
        row(3, &["c", "d"], Some(&[Some(2), Some(2)])),
    ]
}

fn write(directory: &std::path::Path, rows: &[LogitsRow], options: WriterOptions) -> Store {
    let mut writer =
        LogitsWriter::create(&directory.join("train-00000-of-00001.parquet"), &fingerprint(), options).unwrap();
    writer.write(rows).unwrap();
    let shard = Shard { file: writer.finish().unwrap(), first_row: 0 };
    Manifest::new(fingerprint(), vec![shard], Some(rows.len() as u64)).write(directory).unwrap();
    Store::open(directory).unwrap()
}

#[test]
fn words_positions_and_flat_logits_come_back_and_are_whole() {
    for options in [
        WriterOptions::default(),
        WriterOptions { row_group_rows: 1, ..WriterOptions::default() },
        WriterOptions { with_text: false, ..WriterOptions::default() },
        WriterOptions { float16: true, ..WriterOptions::default() },
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = write(directory.path(), &rows(), options);
        let found: Vec<LogitsRow> = store.rows().map(Result::unwrap).collect();
        let expected = rows().into_iter().map(|row| match options.with_text {
            true => row,
            false => LogitsRow { text: None, tokens: None, ..row },
        });
        assert_eq!(found, expected.collect::<Vec<_>>());
        assert_eq!(store.verify(&StopSignal::default(), &Silent).unwrap(), []);
    }
}

#[test]
fn figures_are_those_of_the_words_that_have_logits() {
    let directory = tempfile::tempdir().unwrap();
    let info = write(directory.path(), &rows(), WriterOptions::default()).info(&StopSignal::default()).unwrap();
    assert_eq!((info.rows, info.labelled, info.label_counts), (4, 3, vec![1, 1, 3]));
    // Of the words with a tag and logits, two of three predict it: their logits rise, so the last tag is largest.
    assert!((info.label_agreement.unwrap() - 2.0 / 3.0).abs() < 1e-12);
    let logits = [0.0f64, 0.25, 0.5].map(f64::exp);
    let sum: f64 = logits.iter().sum();
    let entropy: f64 = logits.iter().map(|power| -(power / sum) * (power / sum).ln()).sum();
    assert!((info.mean_entropy.unwrap() - entropy).abs() < 1e-6);
}

#[test]
fn the_footer_names_the_task_and_row_tasks_stay_as_they_were() {
    let json = fingerprint().to_json().unwrap();
    assert!(
        json.starts_with("{\"format_version\":2,") && json.contains("\"task\":\"token_classification\""),
        "{json}"
    );
    assert!(!json.contains("problem_type"));
    assert_eq!(Fingerprint::from_json(&json, "a".as_ref()).unwrap(), fingerprint());
    let several = Fingerprint { problem_type: TaskId::MULTI_LABEL, ..of_rows() };
    let old = several.to_json().unwrap();
    assert!(old.contains("\"label_map\":{\"0\":\"no\",\"1\":\"yes\",\"2\":\"maybe\"},\"problem_type\":\"multi_label_classification\",\"max_length\":32"), "{old}");
    assert!(!of_rows().to_json().unwrap().contains("problem_type"));
    for (from, to, expected) in [
        (
            "\"format_version\":2",
            "\"format_version\":1",
            "format version 1, but this program reads 2 for token_classification",
        ),
        ("\"task\":", "\"problem_type\":\"regression\",\"task\":", "both problem_type and task"),
        ("token_classification", "ranking", "ranking"),
    ] {
        let error = Fingerprint::from_json(&json.replace(from, to), "a".as_ref()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_row_that_does_not_fit_is_refused_by_its_id() {
    let directory = tempfile::tempdir().unwrap();
    let refused = |row: LogitsRow| {
        let path = directory.path().join("a.parquet");
        let mut writer = LogitsWriter::create(&path, &fingerprint(), WriterOptions::default()).unwrap();
        writer.write(&[row]).unwrap_err().to_string()
    };
    let good = || row(0, &["a", "b"], Some(&[Some(1), None]));
    for (row, expected) in [
        (LogitsRow { logits: vec![0.0; 5], ..good() }, "5 logits for 2 positions of 3 each"),
        (LogitsRow { positions: vec![1, 0], ..good() }, "positions are not whole numbers that rise from 0 on"),
        (LogitsRow { positions: vec![-1, 0], ..good() }, "positions are not whole numbers that rise from 0 on"),
        (LogitsRow { positions: vec![0, 2], ..good() }, "position 2 of 2 words"),
        (LogitsRow { label: Some(Label::Tags(vec![None])), ..good() }, "1 tag for 2 words"),
        (LogitsRow { label: Some(Label::Tags(vec![Some(3), None])), ..good() }, "label 3 is outside 0..3"),
        (LogitsRow { label: Some(Label::Class(0)), ..good() }, "not one of token_classification"),
    ] {
        let error = refused(row);
        assert!(error.contains("id-0") && error.contains(expected), "{error}");
    }
    let mut writer =
        LogitsWriter::create(&directory.path().join("b.parquet"), &of_rows(), WriterOptions::default())
            .unwrap();
    let error = writer.write(&[LogitsRow { positions: vec![0], logits: vec![0.0; 3], ..good() }]).unwrap_err();
    assert!(error.to_string().contains("one prediction a row"), "{error}");
}

/// Tables of other programs, with and without the positions.
#[test]
fn json_tables_have_flat_logits() {
    let read = |text: &str| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        distill_core::atomic::write(&path, text.as_bytes()).unwrap();
        let table = LogitsTable::open(&path).unwrap().labelled(TaskId::TOKEN_CLASSIFICATION);
        let rows = table.rows().unwrap();
        rows.map(|row| row.map(|row| (row.positions.unwrap(), row.logits.len()))).collect::<Result<Vec<_>, _>>()
    };
    let found = read(
        "{\"tokens\": [\"a\", \"b\"], \"logits\": [1, 2, 3, 4]}\n{\"positions\": [1], \"logits\": [1, 2]}\n",
    );
    assert_eq!(found.unwrap(), [(vec![0, 1], 4), (vec![1], 2)]);
    for (text, expected) in [
        ("{\"logits\": [1, 2]}", "missing, as are the words"),
        ("{\"positions\": [0, 1], \"logits\": [1, 2, 3]}", "3 logits for 2 positions"),
        (
            "{\"positions\": [0], \"logits\": [1, 2]}\n{\"positions\": [0], \"logits\": [1]}",
            "1 logits a position, rows before it have 2",
        ),
        ("{\"positions\": [1, 1], \"logits\": [1, 2]}", "not a list of whole numbers that rise"),
        ("{\"positions\": [0.5], \"logits\": [1, 2]}", "not a list of whole numbers"),
        ("{\"positions\": [], \"logits\": [1, 2]}", "2 logits for 0 positions"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    // A table of rows may have these columns for something else.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    distill_core::atomic::write(&path, b"{\"tokens\": 7, \"positions\": \"x\", \"logits\": [1, 2]}\n").unwrap();
    assert_eq!(LogitsTable::open(&path).unwrap().rows().unwrap().next().unwrap().unwrap().logits, [1.0, 2.0]);
}
