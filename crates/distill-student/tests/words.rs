//! Rows of words from a file through a teacher and its store into the token cache: the store's own rows, the same rows
//! joined, and several teachers give one cache, with a tag and soft targets for each word.

// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use distill_core::{LabelMap, Silent, StopSignal};
use distill_data::TextTokenizer;
use distill_data::cache::NO_TAG;
use distill_data::logits::{Fingerprint, LogitsWriter, Manifest, Shard, Store, WriterOptions, shard_name};
use distill_data::source::{Columns, Source};
use distill_model::student::{Shape, initialize};
use distill_model::{Model, ModelDirectory};
use distill_student::data::{CacheBuilder, Part};
use distill_student::teachers::{Average, Teachers};
use distill_task::TaskId;
use distill_teacher::Runner;
use tch::Device;

const TASK: TaskId = TaskId::TOKEN_CLASSIFICATION;
const MAX_LENGTH: usize = 12;
/// The second row is longer than a window; its third word has no tag. The last row has no tags.
const ROWS: &str = r#"{"id": "a", "tokens": ["who", "was", "first"], "tags": ["O", "O", "B-X"]}
{"id": "b", "tokens": ["the", "long", "river", "is", "in", "the", "first", "state", "of", "many", "cities", "where", "the", "name", "was", "long"], "tags": ["O", "B-X", null, "O", "O", "O", "B-X", "I-X", "O", "O", "O", "O", "O", "B-X", "O", "O"]}
{"id": "c", "tokens": ["what", "city"]}
"#;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bert-tiny")
}

fn labels() -> LabelMap {
    LabelMap::new(["O", "B-X", "I-X"]).unwrap()
}

fn source(directory: &Path) -> Source {
    let path = directory.join("rows.jsonl");
    distill_core::atomic::write(&path, ROWS.as_bytes()).unwrap();
    Source::open(&path, &Columns::default()).unwrap().labelled(TASK)
}

fn teacher(seed: i64) -> Model {
    tch::manual_seed(seed);
    let directory = ModelDirectory::open(&tiny().join("config.json")).unwrap();
    initialize(&directory, Shape::default(), &labels(), TASK, Device::Cpu).unwrap()
}

fn store(model: &Model, source: &Source, tokenizer: &TextTokenizer, directory: &Path) -> Store {
    std::fs::create_dir_all(directory).unwrap();
    let fingerprint = Fingerprint {
        format_version: Fingerprint::version_of(TASK),
        teacher_weights: "aa".into(),
        tokenizer: "bb".into(),
        label_map: labels(),
        problem_type: TASK,
        max_length: MAX_LENGTH as u32,
        dtype: "f32".into(),
        dataset: "cc".into(),
    };
    let path = directory.join(shard_name(0, 1));
    let mut writer = LogitsWriter::create(&path, &fingerprint, WriterOptions::default()).unwrap();
    let stop = StopSignal::default();
    let runner = Runner { model, tokenizer, batch_tokens: 64, stop: &stop, progress: &Silent };
    runner.run("teacher", source.rows().unwrap(), 3, |rows| Ok(writer.write(rows)?)).unwrap();
    let shard = Shard { file: writer.finish().unwrap(), first_row: 0 };
    Manifest::new(fingerprint, vec![shard], Some(3)).write(directory).unwrap();
    Store::open(directory).unwrap()
}

/// What is learned at each word: row, tag and logits, the windows of a row one after the other.
fn learned(part: &Part) -> Vec<(u64, i32, Vec<f32>)> {
    let each = part.iter().flat_map(|window| {
        let logits = window.logits.chunks(3).map(<[f32]>::to_vec).collect::<Vec<_>>();
        let one = |at: usize| {
            let tag = window.tags.get(at).copied().unwrap_or(NO_TAG);
            (window.row, tag, logits.get(at).cloned().unwrap_or_default())
        };
        (0..window.positions.len()).map(one).collect::<Vec<_>>()
    });
    each.collect()
}

#[test]
fn every_way_into_the_cache_has_the_same_words_tags_and_soft_targets() {
    let directory = tempfile::tempdir().unwrap();
    let (source, labels, stop) = (source(directory.path()), labels(), StopSignal::default());
    let tokenizer = TextTokenizer::load(&tiny(), MAX_LENGTH).unwrap();
    let builder = CacheBuilder {
        tokenizer: &tokenizer,
        labels: &labels,
        problem_type: TASK,
        directory: None,
        stop: &stop,
    };
    let hash = source.hash().unwrap();

    let plain = builder.from_source(&source, &hash).unwrap();
    let found = learned(&plain);
    let tags: Vec<i32> = found.iter().map(|word| word.1).collect();
    // The word without a tag is left out; the row without tags is there, unlabelled.
    let second = [0, 1, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 1, 0, 0];
    assert_eq!(tags, [&[0, 0, 1][..], &second, &[NO_TAG; 2]].concat());
    assert!(plain.rows.len() > 3, "the second row has several windows");
    assert_eq!(plain.labelled_predictions(), 18);

    let store_one = store(&teacher(1), &source, &tokenizer, &directory.path().join("one"));
    let from_store = learned(&builder.from_store(&store_one, "one").unwrap());
    assert_eq!(from_store.len(), 21, "a teacher says something of every word");
    assert!(from_store.iter().all(|(_, _, logits)| logits.len() == 3));
    let joined = learned(&builder.from_join(&source, &hash, &store_one, "one").unwrap());
    assert_eq!(joined, from_store);

    let store_two = store(&teacher(2), &source, &tokenizer, &directory.path().join("two"));
    let other = learned(&builder.from_store(&store_two, "two").unwrap());
    assert_ne!(other, from_store);
    let both = Teachers::new(vec![store_one, store_two], &[], Average::Logits).unwrap();
    let mixed = learned(&builder.from_teachers(&both, "both", None).unwrap());
    for ((one, two), mixed) in from_store.iter().zip(&other).zip(&mixed) {
        assert_eq!((mixed.0, mixed.1), (one.0, one.1));
        for ((one, two), mixed) in one.2.iter().zip(&two.2).zip(&mixed.2) {
            assert!(((one + two) / 2.0 - mixed).abs() < 1e-6);
        }
    }
}
