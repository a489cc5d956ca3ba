//! A frozen encoder's features: computed once for all runs, kept where a run is stopped, and never wrong.

use crate::files::{jsonl, rows};
use crate::harness::Work;

/// The files of features.
fn kept(work: &Work) -> Vec<String> {
    work.tree("cache").into_iter().filter(|name| name.ends_with(".safetensors")).collect()
}

fn student(out: &str) -> String {
    format!("student --targets targets --init tiny --epochs 2 --batch-size 8 --freeze encoder --out {out}")
}

fn model(work: &Work, out: &str) -> Vec<u8> {
    work.bytes(&format!("{out}/model/model.safetensors"))
}

#[test]
fn another_seed_and_another_head_reuse_the_features_of_the_first_run() {
    let work = Work::with_targets();
    work.run(&format!("{} --no-cache", student("uncached"))).succeeds().says("rows=40 reused=0");
    work.run(&student("first")).succeeds().says("rows=40 reused=0");
    work.run(&student("again")).succeeds().says("rows=40 reused=40");
    work.run(&format!("{} --seed 7 --set student.head_learning_rate=0.01", student("other")))
        .succeeds()
        .says("rows=40 reused=40");
    work.run(&format!("{} --seed 7 --set student.head_learning_rate=0.01 --no-cache", student("alone")))
        .succeeds()
        .says("rows=40 reused=0");
    assert_eq!(kept(&work).len(), 1);
    assert!(
        model(&work, "uncached") == model(&work, "first") && model(&work, "first") == model(&work, "again")
    );
    assert!(model(&work, "other") == model(&work, "alone") && model(&work, "other") != model(&work, "first"));
    // Fewer layers are another encoder, and so is what other threads compute.
    work.run(&format!("{} --layers 0,1", student("shallow"))).succeeds().says("reused=0");
    work.run(&format!("{} --threads 2", student("threads"))).succeeds().says("reused=0");

    let info = work.run("cache info --json").succeeds().json();
    let caches = info["caches"].as_array().unwrap();
    let features: Vec<_> = caches.iter().filter(|cache| cache["holds"] == "features").collect();
    assert_eq!((caches.len(), features.len()), (4, 3));
    assert!(features.iter().all(|cache| cache["rows"] == 40 && cache["of_rows"] == 40 && cache["width"] == 32));
    let text = work.run("cache info").succeeds().stdout;
    assert!(text.contains("features of 40 rows, 32 numbers each"), "{text}");
    let cleaned = work.run("cache clean").succeeds().stdout;
    assert!(cleaned.contains("4 caches removed"), "{cleaned}");
    assert_eq!(work.tree("cache"), Vec::<String>::new());
}

#[test]
fn damaged_features_are_recomputed_and_an_unwritable_cache_fails_no_run() {
    let work = Work::with_targets();
    work.run(&student("first")).succeeds();
    let [file] = kept(&work).try_into().unwrap();
    let file = format!("cache/{file}");
    let whole = work.bytes(&file);
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    work.write(&file, damaged);
    work.run(&student("second")).succeeds().says("features are computed again: its blake3 is").says("reused=0");
    assert!(work.bytes(&file) == whole);
    // Nothing can be written over a directory.
    std::fs::remove_file(work.path(&file)).unwrap();
    std::fs::create_dir_all(work.path(&format!("{file}/full"))).unwrap();
    work.run(&student("third")).succeeds().says("features are not kept for the next run");
    assert!(model(&work, "second") == model(&work, "first") && model(&work, "third") == model(&work, "first"));
}

/// Each run is given less time than the encoder takes for all rows.
#[test]
fn short_runs_finish_the_features_together() {
    let work = Work::new();
    let mut many = rows(12_000, "r");
    many.iter_mut().for_each(|row| row.text = [row.text.as_str(); 4].join(" "));
    work.write("rows.jsonl", jsonl(&many));
    let finetune =
        "finetune --model tiny --data rows.jsonl --epochs 1 --batch-size 256 --set finetune.freeze=encoder";
    work.run(&format!("{finetune} --out whole")).succeeds().says("rows=12000 reused=0");
    for file in kept(&work) {
        std::fs::remove_file(work.path(&format!("cache/{file}"))).unwrap();
    }
    let (mut tenths, mut files, mut went_on) = (3, 0, false);
    loop {
        let run = work.run(&format!("{finetune} --max-time {}.{}s --out short", tenths / 10, tenths % 10));
        let anew = run.stderr.contains("reused=0") || run.stderr.contains("reused=12000");
        went_on |= run.stderr.contains("reused=") && !anew;
        if run.code == Some(0) {
            break;
        }
        run.fails(75, &["stopped by the time limit"]);
        // More only where nothing was got through: this machine takes that long to begin.
        let before = std::mem::replace(&mut files, kept(&work).len());
        tenths += u32::from(files == before);
        assert!(tenths < 100, "it never ends");
    }
    assert!(went_on, "no run was stopped within the encoder");
    assert!(model(&work, "short") == model(&work, "whole"));
}
