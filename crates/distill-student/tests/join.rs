//! Rows are joined with their soft targets by id and text, wherever either stands.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use distill_core::hash::text_hash;
use distill_core::{LabelMap, StopSignal};
use distill_data::TextTokenizer;
use distill_data::cache::id_hash;
use distill_data::logits::{
    Fingerprint, LogitsRow, LogitsWriter, Manifest, Shard, Store, WriterOptions, shard_name,
};
use distill_data::source::{Columns, Source};
use distill_student::data::{CacheBuilder, Part};
use distill_task::TaskId;

const ROWS: [(&str, &str); 4] =
    [("a", "what city"), ("b", "who first"), ("c", "what city"), ("d", "where the river")];

/// A store without texts, in the order of [`ROWS`]; the logits say which row they are of.
fn store(directory: &Path) -> Store {
    let fingerprint = Fingerprint {
        format_version: Fingerprint::FORMAT_VERSION,
        teacher_weights: "aa".into(),
        tokenizer: "bb".into(),
        label_map: LabelMap::new(["no", "yes"]).unwrap(),
        problem_type: TaskId::SINGLE_LABEL,
        max_length: 16,
        dtype: "f32".into(),
        dataset: "cc".into(),
    };
    let options = WriterOptions { with_text: false, ..Default::default() };
    let mut writer = LogitsWriter::create(&directory.join(shard_name(0, 1)), &fingerprint, options).unwrap();
    let row = |(row, (id, text)): (usize, &(&str, &str))| LogitsRow {
        row: row as i64,
        id: (*id).to_owned(),
        text_hash: text_hash(text, None),
        text: None,
        text_pair: None,
        label: None,
        logits: vec![row as f32, -1.0],
        ..LogitsRow::default()
    };
    writer.write(&ROWS.iter().enumerate().map(row).collect::<Vec<_>>()).unwrap();
    let shard = Shard { file: writer.finish().unwrap(), first_row: 0 };
    Manifest::new(fingerprint, vec![shard], Some(4)).write(directory).unwrap();
    Store::open(directory).unwrap()
}

fn jsonl(directory: &Path, rows: &[(&str, &str)]) -> PathBuf {
    let lines = rows.iter().map(|(id, text)| format!("{{\"id\": \"{id}\", \"text\": \"{text}\"}}\n"));
    let path = directory.join("rows.jsonl");
    distill_core::atomic::write(&path, lines.collect::<String>().as_bytes()).unwrap();
    path
}

#[test]
fn the_order_of_rows_does_not_matter_and_another_text_is_no_match() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bert-tiny");
    let tokenizer = TextTokenizer::load(&tiny, 16).unwrap();
    let join = |rows: &[(&str, &str)]| {
        let source = Source::open(&jsonl(directory.path(), rows), &Columns::default()).unwrap();
        let labels = &store.fingerprint().label_map;
        let builder = CacheBuilder {
            tokenizer: &tokenizer,
            labels,
            problem_type: TaskId::SINGLE_LABEL,
            directory: None,
            stop: &StopSignal::default(),
        };
        builder
            .from_join(&source, &source.hash().unwrap(), &store, "targets")
            .map_err(|error| error.to_string())
    };
    let firsts = |part: Part| -> Vec<(u64, f32)> {
        part.iter().map(|example| (example.id_hash, example.logits[0])).collect()
    };
    let expected: Vec<(u64, f32)> =
        ROWS.iter().enumerate().map(|(row, (id, _))| (id_hash(id), row as f32)).collect();
    assert_eq!(firsts(join(&ROWS).unwrap()), expected);
    let reversed: Vec<_> = ROWS.into_iter().rev().collect();
    assert_eq!(firsts(join(&reversed).unwrap()), expected.iter().rev().copied().collect::<Vec<_>>());
    for rows in [[("a", "who first")], [("z", "what city")]] {
        let error = join(&rows).unwrap_err();
        assert!(error.contains(rows[0].0) && error.contains("no row with this id and text"), "{error}");
    }
}
