//! Sharding a teacher pass: however many shards, and wherever they stopped, the merged store is that of one pass.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use crate::files;
use crate::harness::{Work, binary};

/// Rows of a block, which no batch crosses.
const BLOCK: usize = 4096;
/// More blocks than eight, the last one short.
const ROWS: usize = 8 * BLOCK + 1000;

/// Many short rows, unlike in length.
fn work() -> Work {
    let work = Work::new();
    let mut rows = files::rows(ROWS, "m");
    for (index, row) in rows.iter_mut().enumerate() {
        let words = 1 + index % 3;
        row.text = row.text.split(' ').take(words).collect::<Vec<_>>().join(" ");
    }
    work.write("many.jsonl", files::jsonl(&rows));
    work
}

/// Files of two blocks. Of nine blocks, two and four shards have an even number each but for the last, so
/// that each has whole files; eight shards cut files in two.
const TEACHER: &str = "teacher --model tiny --data many.jsonl --no-text --shard-rows 8192 --max-length 8";

/// Computes all shards and merges them.
fn merged(work: &Work, count: usize) -> String {
    for index in 0..count {
        work.run(&format!("{TEACHER} --shard {index}/{count} --out shards-{count}")).succeeds();
    }
    let out = format!("merged-{count}");
    work.run(&format!("targets merge shards-{count} --out {out}")).succeeds();
    out
}

/// The rows of all files of a store, which must be named as a whole.
fn records(work: &Work, store: &str) -> Vec<Value> {
    let names: Vec<String> = work.tree(store).into_iter().filter(|name| name.ends_with(".parquet")).collect();
    for (index, name) in names.iter().enumerate() {
        assert_eq!(*name, format!("train-{index:05}-of-{:05}.parquet", names.len()));
    }
    names.iter().flat_map(|name| files::records(work, &format!("{store}/{name}"))).collect()
}

#[test]
fn one_two_four_and_eight_shards_merge_to_the_same_rows_and_bits() {
    let work = work();
    work.run(&format!("{TEACHER} --out whole")).succeeds();
    let expected = records(&work, "whole");
    assert_eq!(expected.len(), ROWS);
    let manifest = work.bytes("whole/manifest.json");
    for count in [2, 4, 8] {
        let out = merged(&work, count);
        let same_cut = count != 8;
        assert_eq!(work.bytes(&format!("{out}/manifest.json")) == manifest, same_cut, "{count} shards");
        if same_cut {
            for name in work.tree("whole").iter().filter(|name| name.ends_with(".parquet")) {
                assert!(work.bytes(&format!("whole/{name}")) == work.bytes(&format!("{out}/{name}")), "{name}");
            }
        } else {
            // As JSON prints every float32 in full, equal text is equal bits.
            assert!(records(&work, &out) == expected, "{count} shards");
            work.run(&format!("targets verify {out}")).succeeds();
        }
    }
    let whole = work.run("targets merge whole --out merged-1").succeeds();
    assert_eq!(work.bytes("merged-1/manifest.json"), manifest, "{}", whole.shown());
    assert_eq!(work.json("merged-8/manifest.json")["source_rows"], ROWS);
}

#[test]
fn killed_shards_resume_and_surplus_shards_are_empty_and_complete() {
    let work = Work::new();
    work.write("few.jsonl", files::jsonl(&files::rows(2 * BLOCK + 10, "f")));
    let teacher = "teacher --model tiny --data few.jsonl --shard-rows 4096";
    work.run(&format!("{teacher} --out whole")).succeeds();
    for index in 0..5 {
        let arguments = format!("{teacher} --shard {index}/5 --out shards");
        for kill_after in [350, 600] {
            let mut command = work.command(binary());
            command.args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(Duration::from_millis(kill_after));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        work.run(&arguments).succeeds();
    }
    let rows =
        |index: u32| work.json(&format!("shards/shard-{index:05}-of-00005/manifest.json"))["rows"].clone();
    assert_eq!((0..5).map(rows).collect::<Vec<_>>(), [0, 4096, 0, 4096, 10].map(Value::from));
    work.run("targets merge shards --out merged").succeeds();
    for name in work.tree("whole").iter().filter(|name| *name != "run.json") {
        assert!(work.bytes(&format!("whole/{name}")) == work.bytes(&format!("merged/{name}")), "{name}");
    }
    let again = work.run(&format!("{teacher} --shard 0/5 --out shards")).succeeds();
    again.says("shards/shard-00000-of-00005 is up to date");
}

#[test]
fn the_shard_comes_from_the_scheduler_and_the_log_says_so() {
    let work = Work::with_rows();
    let run = |environment: &[(&str, &str)], more: &str| {
        work.run_with(&format!("teacher --model tiny --data rows.jsonl --out out {more}"), &[], environment)
    };
    let slurm = [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_COUNT", "3"), ("SLURM_ARRAY_TASK_MIN", "1")];
    run(&slurm, "")
        .succeeds()
        .says("shard 2/3 (from 0), because SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT");
    assert_eq!(work.tree("out")[0], "shard-00002-of-00003/");
    run(&[("JOB_COMPLETION_INDEX", "1"), ("JOB_COMPLETIONS", "3")], "").succeeds().says("shard 1/3");
    run(&[("RANK", "0"), ("WORLD_SIZE", "3")], "").succeeds().says("shard 0/3");
    let settings = &work.json("out/shard-00000-of-00003/run.json")["settings"];
    assert_eq!(settings["shard"], json!("0/3"));
    run(&[("RANK", "0")], "").fails(2, &["RANK is set, but WORLD_SIZE is not", "--shard"]);
    run(&[("JOB_COMPLETION_INDEX", "0")], "").fails(2, &["JOB_COMPLETIONS"]);
    work.run("targets merge out --out merged").succeeds();
    assert_eq!(work.json("merged/manifest.json")["rows"], 40);

    let whole = |more: &str| {
        let arguments = format!("teacher --model tiny --data rows.jsonl {more}");
        work.run_with(&arguments, &[], &slurm)
    };
    assert!(!whole("--shard 0/1 --out whole").succeeds().stderr.contains("shard 2/3"));
    assert_eq!(work.json("whole/manifest.json")["rows"], 40);
    whole("--out whole").fails(73, &["whole contains a run over all rows"]);
    whole("--shard 0/1 --out out").fails(73, &["out is not empty (it contains shard-00000-of-00003)"]);
    for shard in ["3/3", "1", "a/b", "0/0"] {
        work.run(&format!("teacher --model tiny --data rows.jsonl --out x --shard {shard}"))
            .exits(2)
            .says("--shard");
    }
}
