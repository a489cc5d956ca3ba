//! The same seed, data and threads give the same bytes.

use crate::harness::Work;

#[test]
fn fine_tuning_is_reproducible_to_the_byte_and_depends_on_the_seed() {
    let work = Work::with_rows();
    let weights = |out: &str, more: &str| {
        work.run(&format!(
            "finetune --model tiny --data rows.jsonl --epochs 2 --batch-size 8 --out {out} {more}"
        ))
        .succeeds();
        work.bytes(&format!("{out}/model/model.safetensors"))
    };
    let first = weights("a", "--seed 1");
    assert!(first == weights("b", "--seed 1"), "the same seed");
    assert!(first == weights("c", "--seed 1 --no-cache"), "without a token cache");
    assert!(first != weights("d", "--seed 2"), "another seed");
    let losses = |name: &str| -> Vec<_> {
        work.json_lines(&format!("{name}/metrics.jsonl")).iter().map(|line| line["loss"].to_string()).collect()
    };
    assert_eq!(losses("a"), losses("b"));
}

#[test]
fn the_teacher_writes_the_same_parquet_and_students_the_same_weights() {
    let work = Work::with_targets();
    let shard = "train-00000-of-00001.parquet";
    work.run("teacher --model tiny --data rows.jsonl --out again").succeeds();
    assert!(work.bytes(&format!("targets/{shard}")) == work.bytes(&format!("again/{shard}")));
    let weights = |targets: &str, out: &str, seed: u32| {
        let arguments = "--init tiny --layers 0,2 --epochs 1";
        work.run(&format!("student --targets {targets} {arguments} --seed {seed} --out {out}")).succeeds();
        work.bytes(&format!("{out}/model/model.safetensors"))
    };
    let first = weights("targets", "a", 1);
    assert!(first == weights("again", "b", 1), "the same seed");
    assert!(first != weights("targets", "c", 2), "another seed");
}

#[test]
fn fresh_weights_come_from_the_seed() {
    let work = Work::with_targets();
    let weights = |out: &str, seed: u32| {
        let arguments = "student --targets targets --init tiny/config.json --epochs 1";
        work.run(&format!("{arguments} --seed {seed} --out {out}")).succeeds();
        work.bytes(&format!("{out}/model/model.safetensors"))
    };
    let first = weights("a", 1);
    assert!(first == weights("b", 1) && first != weights("c", 2));
}

/// Weights stay in f32 where training computes in bf16: what is written is f32, close to f32's run, and repeats.
#[test]
fn training_in_bf16_is_reproducible_and_writes_f32() {
    let work = Work::with_targets();
    let weights = |out: &str, dtype: &str| {
        let arguments = "student --targets targets --init tiny --layers 0,2 --epochs 1";
        work.run(&format!("{arguments} --dtype {dtype} --out {out}")).succeeds();
        work.bytes(&format!("{out}/model/model.safetensors"))
    };
    let (whole, half) = (weights("whole", "f32"), weights("half", "bf16"));
    assert!(whole != half && half == weights("again", "bf16"));
    assert_eq!(whole.len(), half.len(), "f32 in both");
    let loss = |out: &str| {
        let lines = work.json_lines(&format!("{out}/metrics.jsonl"));
        lines.iter().rev().find(|line| line["event"] == "validation").unwrap()["loss"].as_f64().unwrap()
    };
    assert!((loss("whole") - loss("half")).abs() < 0.02, "{} {}", loss("whole"), loss("half"));
    let changed =
        work.run("student --targets targets --init tiny --layers 0,2 --epochs 1 --dtype bf16 --out whole");
    changed.fails(73, &["setting dtype changed: \"f32\" → \"bf16\""]);
}
