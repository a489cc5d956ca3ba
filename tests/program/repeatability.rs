//! The same seed, data and threads give the same bytes.

use crate::harness::Work;

#[test]
fn fine_tuning_repeats_to_the_byte_and_a_seed_matters() {
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
