//! A result that replaces another one: killed at any point, the same command finishes it.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::faults::{self, Fault};
use crate::harness::Work;

#[allow(clippy::disallowed_methods)]
fn rename(work: &Work, from: &str, to: &str) {
    std::fs::rename(work.path(from), work.path(to)).unwrap();
}

/// Kills a command after each call that changes a file, one kill a run. The same command must then give the same bytes.
fn killed_everywhere(work: &Work, prepare: &dyn Fn(), command: &str, out: &str, whole: &str) {
    prepare();
    let (undisturbed, seen) = faults::run(work, &format!("{command} --out {out}"), None);
    undisturbed.succeeds();
    rename(work, out, whole);
    let files: Vec<String> = work.tree(whole).into_iter().filter(|name| !name.ends_with('/')).collect();
    for at in 1..=seen.count("change") {
        prepare();
        let fault = Fault { kind: "change", at, action: "after", sticky: false };
        let (killed, _) = faults::run(work, &format!("{command} --out {out}"), Some(fault));
        assert_eq!(killed.code, None, "{}", killed.shown());
        work.run(&format!("{command} --out {out}")).succeeds();
        let left: Vec<String> = work.tree(out).into_iter().filter(|name| !name.ends_with('/')).collect();
        assert_eq!(files, left, "killed after change {at}");
        for name in files.iter().filter(|name| *name != "run.json" && *name != "metrics.jsonl") {
            let [left, right] = [whole, out].map(|root| work.bytes(&format!("{root}/{name}")));
            assert!(left == right, "{name} differs, killed after change {at}");
        }
        std::fs::remove_dir_all(work.path(out)).unwrap();
    }
}

#[test]
fn killed_merges_and_averages_are_finished_by_the_same_command() {
    let work = Work::with_targets();
    work.run("teacher --model tiny --data rows.jsonl --max-length 16 --out b").succeeds();
    killed_everywhere(&work, &|| {}, "targets merge targets", "merged", "merged-whole");
    killed_everywhere(&work, &|| {}, "targets average targets b", "mean", "mean-whole");
}

#[test]
fn a_result_that_replaces_another_completes_after_a_kill_at_every_file_call() {
    let work = Work::with_rows();
    let old = || {
        work.run("augment --data rows.jsonl --copies 1 --out more").succeeds();
    };
    killed_everywhere(&work, &old, "augment --data rows.jsonl --copies 2 --overwrite", "more", "whole");
}

/// Whether the next run finishes the swap or finds that it is finished.
#[test]
fn a_half_written_journal_is_removed_by_the_next_run() {
    let work = Work::with_targets();
    let command = "targets merge targets --out merged";
    let is_journal = |name: &String| name.starts_with("..distill-swap.tmp.");
    for at in 1.. {
        let fault = Fault { kind: "rename", at, action: "before", sticky: false };
        let (killed, seen) = faults::run(&work, command, Some(fault));
        assert_eq!(killed.code, None, "{}", killed.shown());
        if seen.path.unwrap().ends_with("merged/.distill-swap.tmp") {
            break;
        }
        std::fs::remove_dir_all(work.path("merged")).unwrap();
    }
    let half_written = work.tree("merged").into_iter().find(is_journal).unwrap();
    for _ in 0..2 {
        work.run(command).succeeds();
        assert!(!work.tree("merged").iter().any(|name| name.contains(".tmp")), "{:?}", work.tree("merged"));
        // A second kill right after the swap leaves the file in a directory whose result is complete.
        work.write(&format!("merged/{half_written}"), "{");
    }
    work.run(command).succeeds();
    assert!(!work.tree("merged").iter().any(is_journal), "{:?}", work.tree("merged"));
}

/// Until the new result is complete, the old one stays under its names.
#[test]
fn training_that_replaces_a_result_resumes_and_keeps_the_old_one_until_its_end() {
    let work = Work::with_rows();
    work.run("finetune --model tiny --data rows.jsonl --epochs 1 --batch-size 8 --out ft").succeeds();
    let old = work.bytes("ft/model/model.safetensors");
    let train = "finetune --model tiny --data rows.jsonl --epochs 30 --batch-size 4 --checkpoint-every 10";
    work.run(&format!("{train} --out whole")).succeeds();
    let replace = format!("{train} --out ft --overwrite");
    let mut running = faults::start(&work, &replace);
    let stage = "ft/.distill-new.tmp";
    let began = Instant::now();
    while !work.path(&format!("{stage}/checkpoints/step-000020")).exists() {
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(5));
    }
    running.kill().unwrap();
    assert_eq!(running.wait().unwrap().code(), None, "it was too fast to be killed");
    assert!(work.bytes("ft/model/model.safetensors") == old);
    // What it replaces is not asked again: the same command resumes, and so does the one without the flag.
    work.run(&format!("{train} --out ft")).succeeds().says("resuming the run in ft");
    assert!(work.bytes("ft/model/model.safetensors") == work.bytes("whole/model/model.safetensors"));
    assert_eq!(work.tree("ft"), work.tree("whole"));
}

#[test]
fn temporary_files_of_a_killed_command_are_removed_by_the_next_one() {
    let work = Work::with_rows();
    let command = "predict --model tiny --data rows.jsonl --out p.csv";
    let (undisturbed, seen) = faults::run(&work, command, None);
    undisturbed.succeeds();
    std::fs::remove_file(work.path("p.csv")).unwrap();
    let fault = Fault { kind: "write", at: seen.count("write"), action: "before", sticky: false };
    assert_eq!(faults::run(&work, command, Some(fault)).0.code, None);
    let temporary =
        |work: &Work| work.tree(".").into_iter().filter(|name| name.ends_with(".tmp")).collect::<Vec<_>>();
    assert_eq!(temporary(&work).len(), 1, "{:?}", work.tree("."));
    work.write(".mine.csv.abcdef.tmp", "mine");
    work.run(command).succeeds();
    assert_eq!(temporary(&work), [".mine.csv.abcdef.tmp"]);
    assert!(Path::new(&work.path("p.csv")).exists());
}
