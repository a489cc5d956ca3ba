//! `distill targets` and `distill cache`, and what a student says of a store that it does not fit.

use crate::files;
use crate::harness::{Work, binary};

const TEACHER: &str = "teacher --model tiny --data rows.jsonl";

/// Changes one bit of a file.
fn flip(work: &Work, name: &str, byte: usize) {
    let mut bytes = work.bytes(name);
    bytes[byte] ^= 1;
    work.write(name, bytes);
}

#[test]
fn verify_lists_every_file_that_is_damaged_or_missing() {
    let work = Work::new();
    work.write("rows.jsonl", files::jsonl(&files::rows(3 * 4096 + 5, "r")));
    work.run(&format!("{TEACHER} --shard-rows 4096 --out targets")).succeeds();
    let good = work.run("targets verify targets").succeeds();
    assert!(good.stdout.starts_with("targets: 4 files, 12293 rows, "), "{}", good.shown());
    let file = |index: u32| format!("targets/train-{index:05}-of-00004.parquet");
    flip(&work, &file(1), 1000);
    std::fs::remove_file(work.path(&file(3))).unwrap();
    let bad = work.run("targets verify targets").exits(65).says("error: 2 of 4 files are damaged or missing");
    let lines: Vec<&str> = bad.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{}", bad.shown());
    assert!(lines[0].contains(&file(1)) && lines[0].contains("its blake3 is"), "{}", bad.shown());
    assert!(lines[1].contains(&file(3)), "{}", bad.shown());
    let document = work.run("targets verify targets --json --quiet").exits(65).json();
    assert_eq!(document["damaged"][0]["file"], file(1));
    assert_eq!((&document["files"], &document["rows"]), (&4.into(), &12293.into()));

    work.write("targets/manifest.json", "{");
    let bad = work.run("targets verify targets").exits(65);
    assert!(bad.stdout.contains("targets/manifest.json is damaged"), "{}", bad.shown());
    std::fs::remove_file(work.path("targets/manifest.json")).unwrap();
    let bad = work.run("targets verify targets").exits(65);
    assert!(bad.stdout.contains("there is no manifest.json"), "{}", bad.shown());
    work.run("targets verify none").fails(2, &["none"]);
}

#[test]
fn verify_checks_all_shards_and_warns_of_files_that_are_not_part_of_the_store() {
    let work = Work::with_rows();
    work.run(&format!("{TEACHER} --shard 0/2 --out shards")).succeeds();
    work.run(&format!("{TEACHER} --shard 1/2 --out shards")).succeeds();
    work.write("shards/shard-00001-of-00002/mine.parquet", "mine");
    let good = work.run("targets verify shards").succeeds();
    good.says(
        "shards/shard-00001-of-00002/mine.parquet is in the store's directory but is not part of the store",
    );
    flip(&work, "shards/shard-00001-of-00002/train-00000-of-00001.parquet", 200);
    std::fs::remove_file(work.path("shards/shard-00000-of-00002/manifest.json")).unwrap();
    let bad = work.run("targets verify shards").exits(65);
    assert_eq!(bad.stdout.lines().count(), 2, "{}", bad.shown());
    assert!(bad.stdout.contains("shard-00000-of-00002: it is not a finished store"), "{}", bad.shown());
    work.run("targets merge shards --out merged")
        .fails(65, &["shard-00000-of-00002: it is not a finished store"]);
    assert!(!work.path("merged").exists());
}

#[test]
fn merge_refuses_incomplete_stores_and_leaves_no_files() {
    let work = Work::with_targets();
    work.run(&format!("{TEACHER} --shard 1/2 --out shards")).succeeds();
    work.run("targets merge shards --out merged").fails(65, &["shard-00000-of-00002", "it is missing"]);
    work.run("targets merge targets targets --out merged").fails(65, &["row 0 of", "is also in another shard"]);
    work.run(&format!("{TEACHER} --data test.jsonl --out other").replace("--data rows.jsonl ", "")).succeeds();
    work.run("targets merge targets other --out merged")
        .fails(65, &["targets and other do not belong together: dataset is"]);
    work.run("targets merge none --out merged").fails(2, &["none"]);
    let shard = "targets/train-00000-of-00001.parquet";
    flip(&work, shard, 300);
    work.run("targets merge targets --out merged").fails(65, &[shard, "its blake3 is"]);
    assert!(!work.path("merged").exists(), "{:?}", work.tree("merged"));
    flip(&work, shard, 300);
    std::fs::create_dir(work.path("mine")).unwrap();
    work.write("mine/notes.txt", "mine");
    work.run("targets merge targets --out mine").fails(73, &["mine is not empty (it contains notes.txt)"]);
    work.run("targets merge targets --out targets").fails(73, &["this run reads targets"]);
    work.run("targets merge targets --out merged").succeeds();
    work.run("targets merge targets --out merged").succeeds().says("merged is up to date");
    work.run("targets merge other --out merged")
        .fails(73, &["merged contains another run (input file 0 changed"]);
}

#[test]
fn a_merge_resumes_after_a_full_disk_or_its_time_limit() {
    let work = Work::new();
    work.write("rows.jsonl", files::jsonl(&files::rows(2 * 4096, "r")));
    work.run(&format!("{TEACHER} --shard-rows 4096 --out targets")).succeeds();
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" targets merge targets --out merged";
    let full = work.command("sh").args(["-c", script, binary()]).output().unwrap();
    assert_eq!(full.status.code(), Some(74), "{}", String::from_utf8_lossy(&full.stderr));
    work.run("targets merge targets --out merged --max-time 0s").fails(75, &["stopped by the time limit"]);
    assert!(!work.path("merged/manifest.json").exists());
    work.run("targets merge targets --out merged").succeeds().says("resuming the run in merged");
    assert_eq!(work.bytes("merged/manifest.json"), work.bytes("targets/manifest.json"));
}

#[test]
fn info_counts_rows_labels_and_agreement() {
    let work = Work::with_targets();
    let info = work.run("targets info targets --json").succeeds().json();
    assert_eq!((&info["rows"], &info["labelled"], &info["source_rows"]), (&40.into(), &40.into(), &40.into()));
    assert_eq!(info["label_counts"], serde_json::json!([8, 8, 8, 8, 8]));
    let records = files::records(&work, "targets/train-00000-of-00001.parquet");
    let agrees = |record: &&serde_json::Value| {
        let logits: Vec<f64> = serde_json::from_value(record["logits"].clone()).unwrap();
        let label = record["label"].as_u64().unwrap() as usize;
        logits.iter().all(|logit| *logit <= logits[label])
    };
    let agreement = records.iter().filter(agrees).count() as f64 / 40.0;
    assert_eq!(info["label_agreement"].as_f64(), Some(agreement));
    let entropy = info["mean_entropy"].as_f64().unwrap();
    assert!(entropy > 0.0 && entropy <= 5f64.ln(), "{entropy}");
    assert_eq!(info["fingerprint"], work.json("targets/manifest.json")["fingerprint"]);
    let text = work.run("targets info targets").succeeds().stdout;
    for part in ["rows         40\n", "   3 delta            8\n", "teacher_weights", "agreement", "nats a row"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    work.run(&format!("{TEACHER} --shard 0/2 --out shards")).succeeds();
    work.run(&format!("{TEACHER} --shard 1/2 --out shards")).succeeds();
    work.run("targets info shards").fails(2, &["shards contains 2 shards", "distill targets merge"]);
    let empty = work.run("targets info shards/shard-00000-of-00002").succeeds();
    assert!(empty.stdout.contains("rows         0 of 40 in the source"), "{}", empty.shown());
    let student = work.run("student --targets shards --init tiny --out st");
    student.fails(2, &["shards contains the shards of a teacher pass", "distill targets merge"]);
}

#[test]
fn resuming_a_student_with_another_store_says_which_field_differs() {
    let work = Work::with_targets();
    files::with_weights(&work, "other", |tensors| {
        let (_, _, bytes) = tensors.get_mut("classifier.bias").unwrap();
        bytes[3] ^= 1;
    });
    work.run("teacher --model other --data rows.jsonl --out others").succeeds();
    let student = "student --init tiny --epochs 1 --out st";
    work.run(&format!("{student} --targets targets")).succeeds();
    let [ours, theirs] = ["targets", "others"].map(|store| {
        let hash = work.json(&format!("{store}/manifest.json"))["fingerprint"]["teacher_weights"].clone();
        hash.as_str().unwrap()[..12].to_owned()
    });
    assert_ne!(ours, theirs);
    let said = format!("input fingerprint.teacher_weights changed: {ours}… → {theirs}…");
    work.run(&format!("{student} --targets others")).fails(73, &["st contains another run", &said]);
    work.run("teacher --model tiny --data rows.jsonl --max-length 16 --out short").succeeds();
    let longer = work.run(&format!("{student}2 --targets short"));
    longer.fails(2, &["max_length is 32, but the teacher"]);
}

#[test]
fn the_cache_lists_its_files_and_clean_removes_nothing_else() {
    let work = Work::with_targets();
    let empty = work.run("cache info").succeeds().stdout;
    assert!(empty.contains("/cache: 0 caches, 0 B"), "{empty}");
    work.run("student --targets targets --init tiny --epochs 1 --out st").succeeds();
    work.write("cache/mine.tokens.json", "mine");
    let info = work.run("cache info --json").succeeds().json();
    let entry = &info["caches"][0];
    assert_eq!((info["caches"].as_array().unwrap().len(), &entry["rows"]), (1, &40.into()));
    assert_eq!(entry["about"], "soft targets targets, rows of at most 32 tokens");
    assert_eq!(info["bytes"], entry["bytes"]);
    let text = work.run("cache info").succeeds().stdout;
    assert!(text.contains("1 cache, ") && text.contains("soft targets targets"), "{text}");
    let recent = work.run("cache clean --older-than 1d --json").succeeds().json();
    assert_eq!((&recent["removed"], &recent["recent"]), (&0.into(), &1.into()));
    let before = work.tree("cache");
    let planned = work.run("cache clean --dry-run").succeeds().stdout;
    assert!(planned.contains("would have 1 cache removed"), "{planned}");
    assert_eq!(work.tree("cache"), before);
    work.run("cache clean --older-than 0s").succeeds();
    assert_eq!(work.tree("cache"), ["mine.tokens.json"]);
    work.run("cache clean --older-than week").exits(2).says("--older-than");
}

#[test]
fn an_average_is_a_store_and_teaches_like_its_parts() {
    let work = Work::with_targets();
    work.run("finetune --model tiny --data rows.jsonl --epochs 2 --batch-size 8 --out other").succeeds();
    work.run("teacher --model other/model --data rows.jsonl --out second").succeeds();
    let average = "targets average targets second --weights 1,3 --average probabilities";
    let made = work.run(&format!("{average} --out both")).succeeds();
    assert!(made.stdout.starts_with("40 rows in 1 file, "), "{}", made.shown());
    work.run("targets verify both").succeeds();
    let [one, two, both] = ["targets", "second", "both"]
        .map(|store| files::records(&work, &format!("{store}/train-00000-of-00001.parquet")));
    let probabilities = |row: &serde_json::Value| -> Vec<f64> {
        let powers: Vec<f64> =
            row["logits"].as_array().unwrap().iter().map(|logit| logit.as_f64().unwrap().exp()).collect();
        powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect()
    };
    for ((one, two), both) in one.iter().zip(&two).zip(&both) {
        assert_eq!((&one["id"], &one["text"], &one["label"]), (&both["id"], &both["text"], &both["label"]));
        for ((one, two), both) in probabilities(one).iter().zip(probabilities(two)).zip(probabilities(both)) {
            assert!((0.25 * one + 0.75 * two - both).abs() < 1e-6);
        }
    }
    let student = "--init tiny --layers 0 --epochs 1";
    let set = "--set student.teacher_weights=[1,3] --set student.average=probabilities";
    work.run(&format!("student --targets both {student} --out kept")).succeeds();
    work.run(&format!("student --targets targets --targets second {set} {student} --out together")).succeeds();
    let validation = |out: &str| work.json(&format!("{out}/run.json"))["results"]["validation"].clone();
    assert_eq!(validation("kept"), validation("together"));
    work.run(&format!("{average} --out both")).succeeds().says("is up to date");
    work.run("targets average targets second --weights 1 --out bad").fails(2, &["for 2 stores"]);
    work.run("targets average targets --out bad").exits(2);
    assert!(!work.path("bad").exists());
}
