//! What the program does with damaged files that it wrote itself: stores, records, checkpoints, caches.

use std::path::{Path, PathBuf};

use distill_core::record::{FileMark, RunRecord};
use distill_core::{Category, StopSignal};
use distill_data::cache::{CacheError, Example, FeatureFiles, FeatureShape, TokenCache, info};
use distill_data::logits::{FileEntry, LogitsWriter, Manifest, Shard, Store, WriterOptions};
use distill_student::checkpoint::{Checkpoints, State};
use tch::Tensor;

use super::{Outcome, Refusal, write};
use crate::seeds;

/// A store of two shards in `directory`; returns its manifest.
pub fn store(directory: &Path) -> Manifest {
    let shard = |name: &str, first: usize| {
        let mut writer =
            LogitsWriter::create(&directory.join(name), &seeds::fingerprint(), WriterOptions::default())
                .unwrap();
        writer.write(&seeds::logits_rows(first, 6)).unwrap();
        let file: FileEntry = writer.finish().unwrap();
        Shard { file, first_row: first as u64 }
    };
    let shards = vec![shard("train-00000-of-00002.parquet", 0), shard("train-00001-of-00002.parquet", 6)];
    let manifest = Manifest::new(seeds::fingerprint(), shards, Some(12));
    manifest.write(directory).unwrap();
    manifest
}

pub fn manifests() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    store(directory.path());
    vec![std::fs::read(directory.path().join("manifest.json")).unwrap()]
}

pub fn manifest(directory: &Path, bytes: &[u8]) -> Outcome {
    if !directory.join("manifest.json").exists() {
        store(directory);
    }
    write(&directory.join("manifest.json"), bytes);
    let store = Store::open(directory)?;
    store.verify(&StopSignal::default(), &distill_core::Silent)?;
    let read: u64 = store.rows().map(|row| row.map(|_| 1)).sum::<Result<u64, _>>()?;
    assert_eq!(read, store.num_rows());
    Ok(())
}

pub fn run_records() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let record = RunRecord {
        format_version: RunRecord::FORMAT_VERSION,
        command: "student".to_owned(),
        settings: serde_json::json!({"data": {"train": "a.jsonl", "max_length": 32}, "seed": 3}),
        versions: [("distill".to_owned(), "0.1.0".to_owned())].into(),
        device: Default::default(),
        inputs: [("data".to_owned(), "a".repeat(64))].into(),
        results: [("rows".to_owned(), serde_json::json!(1))].into(),
        files: [("metrics.jsonl".to_owned(), FileMark { bytes: 9, blake3: "b".repeat(64) })].into(),
    };
    record.write(directory.path()).unwrap();
    vec![std::fs::read(directory.path().join("run.json")).unwrap()]
}

pub fn run_record(directory: &Path, bytes: &[u8]) -> Outcome {
    write(&directory.join("run.json"), bytes);
    Ok(RunRecord::read(directory).map(drop)?)
}

pub fn metrics() -> Vec<Vec<u8>> {
    let line = |step: usize| {
        format!(
            "{{\"event\":\"train\",\"global_step\":{step},\"epoch\":0.5,\"loss\":1.25,\"grad_norm\":3.5e-1}}\n"
        )
    };
    vec![(0..20).map(line).collect::<String>().into_bytes()]
}

pub fn read_metrics(directory: &Path, bytes: &[u8]) -> Outcome {
    let path = directory.join("metrics.jsonl");
    write(&path, bytes);
    Ok(distill_report::training::read("student", &path).map(drop)?)
}

fn state(step: u64) -> State {
    let counters = State { epoch: 1, batch: 2, loss_sum: 0.1 + 0.2, metrics_bytes: 100, ..State::default() };
    State { global_step: step, ..counters }
}

fn tensors(step: u64) -> [(String, Tensor); 2] {
    [
        ("model.w".to_owned(), Tensor::from_slice(&[step as f32, 2.0, 3.0])),
        ("optimizer.step".to_owned(), Tensor::from_slice(&[step as i64])),
    ]
}

fn save_checkpoints(directory: &Path) {
    let checkpoints = Checkpoints::new(directory, 2);
    for step in [5, 10] {
        checkpoints.save(&state(step), &tensors(step)).unwrap();
    }
}

pub fn checkpoint(file: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    save_checkpoints(directory.path());
    std::fs::read(directory.path().join("checkpoints/step-000010").join(file)).unwrap()
}

/// A damaged checkpoint is never gone on from: the one before it is.
pub fn resume(directory: &Path, file: &str, bytes: &[u8]) -> Outcome {
    let newest = directory.join("checkpoints/step-000010");
    if !newest.exists() {
        save_checkpoints(directory);
    }
    write(&newest.join(file), bytes);
    let found = Checkpoints::new(directory, 2).newest()?.expect("the checkpoint before is whole");
    let step = found.state.global_step;
    assert_eq!(found.state, state(step), "a damaged checkpoint was used");
    assert_eq!(found.tensors["model.w"], tensors(step)[0].1);
    match step {
        10 => Ok(()),
        _ => Err(Refusal { category: Category::Data, text: "passed over".to_owned() }),
    }
}

/// The cache, and whether it had to be built.
fn build_cache(directory: &Path) -> (TokenCache, bool) {
    let mut built = false;
    let cache = TokenCache::open_or_build(directory, "key", "rows", &StopSignal::default(), |writer| {
        built = true;
        for row in 0..50u32 {
            let input_ids: Vec<u32> = (0..=row % 7).collect();
            writer.push(Example {
                input_ids: &input_ids,
                token_type_ids: None,
                label: Some(row as i32),
                targets: &[],
                logits: &[row as f32, 0.5],
                id_hash: u64::from(row),
                partner_hash: None,
                row: u64::from(row),
                ..Example::default()
            })?;
        }
        Ok::<_, CacheError>(())
    });
    (cache.unwrap(), built)
}

/// Features of fifty rows, and where those from the twentieth on are kept.
fn feature_files(directory: &Path) -> (FeatureFiles, PathBuf) {
    let (key, shape) = ("a".repeat(64), FeatureShape { rows: 50, width: 2 });
    let path = directory.join(format!("{key}.features.000000020.safetensors"));
    (FeatureFiles::open(directory, &key, "rows", shape, &StopSignal::default()).unwrap(), path)
}

pub fn features() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (files, path) = feature_files(directory.path());
    let values: Vec<f32> = (0..60u8).map(f32::from).collect();
    files.write(20, &values).unwrap();
    drop(files);
    let whole = std::fs::read(path).unwrap();
    assert!(kept_features(directory.path(), &whole).is_ok(), "undamaged ones are read");
    whole
}

/// Damaged features are computed again: what is read is always right.
pub fn kept_features(directory: &Path, bytes: &[u8]) -> Outcome {
    let (files, path) = feature_files(directory);
    write(&path, bytes);
    info(directory)?;
    let mut read = false;
    files.read(&StopSignal::default(), |first, values| {
        let expected: Vec<f32> = (0..60u8).map(f32::from).collect();
        assert_eq!((first, values), (20, expected.as_slice()));
        read = true;
    })?;
    match read {
        true => Ok(()),
        false => Err(Refusal { category: Category::Data, text: "computed again".to_owned() }),
    }
}

pub fn cache(ending: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    build_cache(directory.path());
    std::fs::read(directory.path().join(format!("key.tokens.{ending}"))).unwrap()
}

/// A damaged cache is built again: the rows are always the right ones.
pub fn cached(directory: &Path, ending: &str, bytes: &[u8]) -> Outcome {
    build_cache(directory);
    write(&directory.join(format!("key.tokens.{ending}")), bytes);
    let (cache, built) = build_cache(directory);
    assert_eq!(cache.len(), 50);
    for row in 0..50 {
        let example = cache.get(row);
        let expected = (row as u64, Some(row as i32), &[row as f32, 0.5][..], row % 7 + 1);
        assert_eq!((example.row, example.label, example.logits, example.input_ids.len()), expected);
    }
    match built {
        false => Ok(()),
        true => Err(Refusal { category: Category::Data, text: "built again".to_owned() }),
    }
}
