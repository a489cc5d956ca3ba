//! A store gives back what was written, in the same bytes. That it notices whatever happens to it is in [`damage`].

mod damage;
mod merging;
mod ragged;

use std::path::Path;

use distill_core::hash::text_hash;
use distill_core::{LabelMap, Silent, StopSignal};
use distill_task::TaskId;

use super::*;
use crate::error::DataError;
use crate::source::{Columns, Label, RawLabel, Source};

const TEXTS: [&str; 6] = ["", "plain", "ünï 😀", "a\tb\n\"c\"\r\n", "\u{0}\u{feff}", "x,y"];

pub(crate) fn fingerprint() -> Fingerprint {
    Fingerprint {
        format_version: Fingerprint::FORMAT_VERSION,
        teacher_weights: "aa".into(),
        tokenizer: "bb".into(),
        label_map: LabelMap::new(["no", "yes", "maybe"]).unwrap(),
        problem_type: TaskId::SINGLE_LABEL,
        max_length: 32,
        dtype: "f32".into(),
        dataset: "cc".into(),
    }
}

pub(crate) fn rows(range: std::ops::Range<i64>) -> Vec<LogitsRow> {
    let row = |row: i64| {
        let text = TEXTS[row as usize % TEXTS.len()].to_owned();
        let text_pair = (row % 3 == 0).then(|| format!("pair {row}"));
        LogitsRow {
            row,
            id: format!("id-{row}"),
            text_hash: text_hash(&text, text_pair.as_deref()),
            text: Some(text),
            text_pair,
            label: (row % 4 != 0).then_some(Label::Class((row % 3) as i32)),
            logits: vec![row as f32 * 0.1, -1.5, f32::MIN_POSITIVE],
            ..LogitsRow::default()
        }
    };
    range.map(row).collect()
}

/// A label as a reader finds it.
fn raw(label: &Option<Label<i32>>) -> Option<Label<RawLabel>> {
    let id = |id: &i32| RawLabel::Id((*id).into());
    label.as_ref().and_then(|label| label.try_map(|class| Ok::<_, ()>(id(class))).ok())
}

fn write(path: &Path, options: WriterOptions, rows: &[LogitsRow]) -> FileEntry {
    let mut writer = LogitsWriter::create(path, &fingerprint(), options).unwrap();
    writer.write(rows).unwrap();
    writer.finish().unwrap()
}

/// A store of `rows` in shards of these lengths, the first of which starts at `first`.
fn store(directory: &Path, first: i64, lengths: &[i64], names: (usize, usize)) -> Manifest {
    std::fs::create_dir_all(directory).unwrap();
    let mut at = first;
    let mut shards = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        let path = directory.join(shard_name(names.0 + index, names.1));
        let options = WriterOptions { row_group_rows: 7, ..Default::default() };
        let file = write(&path, options, &rows(at..at + length));
        shards.push(Shard { file, first_row: at as u64 });
        at += length;
    }
    let manifest = Manifest::new(fingerprint(), shards, None);
    manifest.write(directory).unwrap();
    manifest
}

fn read(path: &Path) -> Result<Vec<TableRow>, DataError> {
    LogitsTable::open(path)?.rows()?.collect()
}

#[test]
fn a_file_gives_back_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    for (with_text, float16) in [(true, false), (false, false), (true, true)] {
        let path = directory.path().join("a.parquet");
        let options = WriterOptions { with_text, float16, row_group_rows: 1000 };
        let written = rows(0..2500);
        let written: Vec<LogitsRow> = if float16 { written[..100].to_vec() } else { written };
        let entry = write(&path, options, &written);
        assert_eq!(entry.rows, written.len() as u64);
        assert_eq!(entry.blake3, distill_core::hash::file_hash(&path).unwrap());
        assert_eq!(entry.bytes, std::fs::metadata(&path).unwrap().len());
        let table = LogitsTable::open(&path).unwrap();
        assert_eq!(table.fingerprint(), Some(&fingerprint()));
        let found = read(&path).unwrap();
        assert_eq!(found.len(), written.len());
        for (found, written) in found.iter().zip(&written) {
            assert_eq!((found.row, &found.id), (written.row, &written.id));
            assert_eq!(found.text_hash, Some(written.text_hash));
            assert_eq!(found.text, written.text.clone().filter(|_| with_text));
            assert_eq!(found.text_pair, written.text_pair.clone().filter(|_| with_text));
            assert_eq!(found.label, raw(&written.label));
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= b.abs() * 1e-3 + 1e-6;
            match float16 {
                true => assert!(found.logits.iter().zip(&written.logits).all(close)),
                false => assert_eq!(found.logits, written.logits),
            }
        }
    }
}

#[test]
fn bytes_do_not_depend_on_how_rows_are_handed_over() {
    let directory = tempfile::tempdir().unwrap();
    let options = WriterOptions { row_group_rows: 10, ..Default::default() };
    let whole = write(&directory.path().join("a.parquet"), options, &rows(0..25));
    let mut writer =
        LogitsWriter::create(&directory.path().join("b.parquet"), &fingerprint(), options).unwrap();
    rows(0..25).chunks(3).for_each(|chunk| writer.write(chunk).unwrap());
    let pieces = writer.finish().unwrap();
    assert_eq!(whole.blake3, pieces.blake3);
}

#[test]
fn unfit_logits_are_refused_with_the_rows_id_and_leave_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.parquet");
    let try_write = |logits: Vec<f32>, label: Option<Label<i32>>, float16: bool| {
        let options = WriterOptions { float16, ..Default::default() };
        let mut writer = LogitsWriter::create(&path, &fingerprint(), options).unwrap();
        let row = LogitsRow { logits, label, ..rows(5..6).remove(0) };
        writer.write(&[row]).unwrap_err().to_string()
    };
    assert!(
        try_write(vec![0.0, f32::NAN, 0.0], None, false).ends_with(r#"row with id "id-5": logit 1 is NaN"#)
    );
    assert!(try_write(vec![0.0, 0.0, f32::INFINITY], None, false).contains("logit 2 is inf"));
    assert!(try_write(vec![0.0], None, false).contains("1 logits for 3 labels"));
    assert!(try_write(vec![0.0, 1e6, 0.0], None, true).contains("does not fit float16"));
    assert!(try_write(vec![0.0; 3], Some(Label::Class(3)), false).contains("label 3 is outside 0..3"));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_store_streams_its_rows_and_counts_them() {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path(), 0, &[10, 3, 20], (0, 3));
    let store = Store::open(directory.path()).unwrap();
    let found: Vec<LogitsRow> = store.rows().collect::<Result<_, _>>().unwrap();
    assert_eq!(found, rows(0..33));
    assert_eq!(store.verify(&StopSignal::default(), &Silent).unwrap(), []);
    let info = store.info(&StopSignal::default()).unwrap();
    assert_eq!((info.rows, info.labelled, info.unlabelled, info.shards), (33, 24, 9, 3));
    assert_eq!(info.label_counts.iter().sum::<u64>(), 24);
    // The first logit is the largest from row 0 on, so label 0 agrees.
    assert_eq!(info.label_agreement, Some(info.label_counts[0] as f64 / 24.0));
    assert!(info.mean_entropy.unwrap() > 0.0);
}

#[allow(clippy::disallowed_methods)]
fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_fingerprint_names_the_field_that_differs_and_both_values() {
    let ours = fingerprint();
    let mut theirs = fingerprint();
    assert_eq!(ours.first_difference(&theirs), None);
    theirs.label_map = LabelMap::new(["yes", "no", "maybe"]).unwrap();
    let difference = ours.first_difference(&theirs).unwrap();
    assert_eq!(difference.field, "label_map");
    assert_eq!(
        (difference.ours.as_str(), difference.theirs.as_str()),
        ("0=no, 1=yes, 2=maybe", "0=yes, 1=no, 2=maybe")
    );
    let error = ours.must_equal("the store", &theirs, "the student").unwrap_err().to_string();
    assert!(
        error.contains("the store") && error.contains("the student") && error.contains("label_map"),
        "{error}"
    );
}

#[test]
fn tables_of_other_programs_are_read_as_json_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.jsonl");
    let read_text = |text: &str| {
        overwrite(&path, text.as_bytes());
        read(&path)
    };
    let found = read_text(
        "{\"id\": \"a\", \"logits\": [1, -2.5], \"label\": \"x\", \"other\": {}}\n{\"id\": 7, \"logits\": [0, 1e-3]}\n",
    );
    let found = found.unwrap();
    assert_eq!((found[0].id.as_str(), found[0].row, found[1].id.as_str()), ("a", 0, "7"));
    assert_eq!(found[0].label, Some(Label::Class(RawLabel::Name("x".into()))));
    assert_eq!(found[1].logits, [0.0, 1e-3]);
    for (text, expected) in [
        (
            "{\"logits\": [1]}\n{\"logits\": [1, 2]}",
            "line 2: column \"logits\": 2 logits, rows before it have 1",
        ),
        ("{\"logits\": [1e99]}", "line 1: column \"logits\": logit 0 is inf"),
        ("{\"logits\": [\"a\"]}", "line 1: logits: logit 0 is \"a\", not a number"),
        ("{\"id\": 1}", "line 1: column \"logits\": missing"),
        ("", "has no rows"),
    ] {
        let error = read_text(text).unwrap_err().to_string();
        assert!(error.contains(expected), "expected {expected:?}, found {error:?}");
    }
}

#[test]
fn a_table_with_texts_is_a_source_of_rows_and_so_is_a_directory_of_shards() {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path(), 0, &[1500, 1500], (0, 2));
    overwrite(&directory.path().join(".train-unfinished.parquet"), b"PAR1");
    let source = Source::open(directory.path(), &Columns::default()).unwrap();
    let found: Vec<_> = source.rows().unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(found.len(), 3000);
    for (found, written) in found.iter().zip(rows(0..3000)) {
        assert_eq!(found.row, written.row as u64);
        assert_eq!((&found.id, Some(&found.text)), (&written.id, written.text.as_ref()));
        assert_eq!(found.text_pair, written.text_pair);
        assert_eq!(found.label, raw(&written.label));
    }
    assert!(found[1500].place.to_string().ends_with("train-00001-of-00002.parquet: row 1 (from 1)"));
    assert_eq!(source.hash().unwrap().len(), 64);
    let missing = Columns { label: Some("lable".into()), ..Default::default() };
    let error = Source::open(directory.path(), &missing).unwrap().rows().err().unwrap().to_string();
    assert!(error.contains("did you mean \"label\"?"), "{error}");
}

/// Lists of classes and numbers come back as they were written, null apart from the empty list; the rows of such
/// a store serve as data again.
#[test]
fn stores_of_several_classes_and_of_numbers_keep_their_labels() {
    let lists = [vec![0, 2], vec![], vec![1]].map(Label::Classes).map(Some);
    let numbers = [-0.1, 3.0, 1e-30].map(Label::Value).map(Some);
    for (problem_type, labels) in [(TaskId::MULTI_LABEL, lists), (TaskId::REGRESSION, numbers)] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(shard_name(0, 1));
        let label_map = if problem_type == TaskId::REGRESSION {
            LabelMap::numbered(1).unwrap()
        } else {
            fingerprint().label_map
        };
        let fingerprint = Fingerprint { problem_type, label_map, ..fingerprint() };
        let mut written = rows(0..9);
        for (place, row) in written.iter_mut().enumerate() {
            row.label = labels.get(place % 4).cloned().flatten();
            row.logits.truncate(fingerprint.label_map.num_labels());
        }
        let options = WriterOptions { row_group_rows: 4, ..Default::default() };
        let mut writer = LogitsWriter::create(&path, &fingerprint, options).unwrap();
        writer.write(&written).unwrap();
        let wrong = LogitsRow { label: Some(Label::Class(0)), ..written[0].clone() };
        assert!(writer.write(&[wrong]).unwrap_err().to_string().contains(problem_type.name()));
        let shard = Shard { file: writer.finish().unwrap(), first_row: 0 };
        Manifest::new(fingerprint.clone(), vec![shard], Some(9)).write(directory.path()).unwrap();
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.fingerprint().problem_type, problem_type);
        assert_eq!(store.rows().collect::<Result<Vec<_>, _>>().unwrap(), written);
        let info = store.info(&StopSignal::default()).unwrap();
        assert_eq!((info.labelled, info.unlabelled), (7, 2));
        assert_eq!(info.label_counts, if problem_type == TaskId::MULTI_LABEL { vec![3, 2, 3] } else { vec![] });
        let source = Source::open(directory.path(), &Columns::default()).unwrap().labelled(problem_type);
        let read: Vec<_> = source.rows().unwrap().map(|row| row.unwrap().label).collect();
        assert_eq!(read, written.iter().map(|row| raw(&row.label)).collect::<Vec<_>>());
        let as_one_class = Source::open(directory.path(), &Columns::default()).unwrap();
        assert!(as_one_class.rows().and_then(|rows| rows.collect::<Result<Vec<_>, _>>()).is_err());
    }
}

#[test]
fn tables_of_other_programs_hold_lists_of_labels_and_sigmoids() {
    let directory = tempfile::tempdir().unwrap();
    let read = |name: &str, text: &str, problem_type| -> Result<Vec<TableRow>, String> {
        let path = directory.path().join(name);
        distill_core::atomic::write(&path, text.as_bytes()).unwrap();
        let table = LogitsTable::open(&path).unwrap().labelled(problem_type);
        table.rows().unwrap().map(|row| row.map_err(|error| error.to_string())).collect()
    };
    let lines =
        "{\"label\": [1, 0], \"probabilities\": [0.5, 0.75]}\n{\"label\": [], \"probabilities\": [0, 1]}\n";
    let rows = read("a.jsonl", lines, TaskId::MULTI_LABEL).unwrap();
    assert_eq!(rows[0].label, Some(Label::Classes(vec![RawLabel::Id(1), RawLabel::Id(0)])));
    assert!(rows[0].logits[0].abs() < 1e-6 && (rows[0].logits[1] - 3f32.ln()).abs() < 1e-6);
    assert!(rows[1].logits[0] < -80.0 && rows[1].logits[1] > 30.0 && rows[1].logits[1].is_finite());
    let rows = read("a.csv", "id,label,logits\nx,2|0,\"[1, 2, 3]\"\n", TaskId::MULTI_LABEL).unwrap();
    assert_eq!(rows[0].label, Some(Label::Classes(vec![RawLabel::Id(2), RawLabel::Id(0)])));
    let rows = read("b.jsonl", "{\"label\": 0.25, \"logits\": [0.5]}\n", TaskId::REGRESSION).unwrap();
    assert_eq!(rows[0].label, Some(Label::Value(0.25)));
    let error = read("c.jsonl", "{\"probabilities\": [0.5]}\n", TaskId::REGRESSION).unwrap_err();
    assert!(error.contains("regression has no probabilities"), "{error}");
}
