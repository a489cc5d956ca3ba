//! Outputs that cannot be made: 73 or 74 with the path, and nothing half-written.

use std::path::Path;

use crate::files;
use crate::harness::{Run, Work, binary};

#[test]
fn a_directory_that_is_not_empty() {
    let work = Work::with_targets();
    std::fs::create_dir(work.path("out")).unwrap();
    work.write("out/mine.txt", "mine");
    for arguments in [
        "finetune --model tiny --data rows.jsonl",
        "teacher --model tiny --data rows.jsonl",
        "student --targets targets --init tiny",
        "report --model tiny --data test.jsonl",
    ] {
        let run = work.run(&format!("{arguments} --out out"));
        run.fails(73, &["out is not empty (it contains mine.txt)", "--overwrite"]);
        assert_eq!(work.tree("out"), ["mine.txt"]);
    }
}

#[test]
fn an_output_that_cannot_be_created() {
    let work = Work::with_rows();
    for out in ["rows.jsonl", "rows.jsonl/below", "/proc/nothing"] {
        for arguments in ["finetune --model tiny --data test.jsonl", "report --model tiny --data test.jsonl"] {
            work.run(&format!("{arguments} --out {out}")).fails(73, &[out]);
        }
    }
    for out in ["none/p.csv", "/proc/p.parquet", "rows.jsonl/p.jsonl"] {
        work.run(&format!("predict --model tiny --data test.jsonl --out {out}")).fails(73, &[out]);
    }
    std::fs::create_dir(work.path("p.csv")).unwrap();
    work.run("predict --model tiny --data test.jsonl --out p.csv --overwrite")
        .fails(73, &["p.csv is a directory"]);
    assert_eq!(files::jsonl(&files::rows(40, "r")), work.read("rows.jsonl"));
}

/// Runs with files limited to so many blocks of 512 bytes: what a full disk does, for files of one size. The signal that
/// comes with it is for the program to deal with.
fn limited(work: &Work, blocks: u32, arguments: &str) -> Run {
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let output =
        work.command("sh").arg("-c").arg(script).arg(binary()).args(arguments.split_whitespace()).output();
    Run::of(arguments.to_owned(), output.unwrap())
}

#[test]
fn no_space_left() {
    let work = Work::with_rows();
    let model = limited(&work, 64, "finetune --model tiny --data rows.jsonl --epochs 1 --no-cache --out ft");
    model.fails(74, &["cannot write", "model.safetensors", "File too large"]);
    // The record of an unfinished run stays: with more space, the same command resumes.
    assert_eq!(work.tree("ft"), ["metrics.jsonl", "run.json"]);
    assert_eq!(work.json("ft/run.json")["results"], serde_json::json!({}));
    let cache = limited(&work, 1, "finetune --model tiny --data rows.jsonl --epochs 1 --out cached");
    cache.fails(74, &["cache", "File too large"]);
    assert!(!work.path("cached").exists());
    limited(&work, 1, "teacher --model tiny --data rows.jsonl --out targets")
        .fails(74, &["targets/", "File too large"]);
    assert!(!work.path("targets").exists());
    for out in ["p.parquet", "p.jsonl", "p.csv"] {
        let run = limited(&work, 1, &format!("predict --model tiny --data rows.jsonl --out {out}"));
        run.fails(74, &[out, "File too large"]);
        assert!(!work.tree(".").iter().any(|name| name.contains(out)), "{:?}", work.tree("."));
    }
    limited(&work, 1, "report --model tiny --data rows.jsonl --out report")
        .fails(74, &["report/", "File too large"]);
    assert!(!work.path("report").exists());
    // The record of the run fits, the report does not.
    limited(&work, 8, "report --model tiny --data rows.jsonl --out report")
        .fails(74, &["report/", "/report.", "File too large"]);
    assert_eq!(work.json("report/.distill-new.tmp/run.json")["results"], serde_json::json!({}));
    work.run("report --model tiny --data rows.jsonl --out report").succeeds();
}

#[test]
fn a_closed_stdout_is_an_io_error_after_the_work_is_done() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let work = Work::with_rows();
    let mut command = work.command(binary());
    command.args(["teacher", "--model", "tiny", "--data", "rows.jsonl", "--out", "out"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full).output().unwrap();
    Run::of("teacher > /dev/full".to_owned(), output).fails(74, &["No space left on device"]);
    assert!(work.path("out/run.json").exists());
}

#[test]
fn a_token_cache_that_cannot_be_created_is_reported() {
    let work = Work::with_rows();
    let arguments = "finetune --model tiny --data rows.jsonl --epochs 1 --out out";
    let run = work.run_with(arguments, &[], &[("DISTILL_CACHE", "rows.jsonl/cache")]);
    run.fails(74, &["rows.jsonl/cache"]);
    assert!(!work.path("out").exists());
    work.run_with(&format!("{arguments} --no-cache"), &[], &[("DISTILL_CACHE", "rows.jsonl/cache")]).succeeds();
}

/// What it learned until then shows what went wrong; a pipeline with a better setting takes its directory over.
#[test]
fn a_run_that_diverged_can_be_repeated_with_another_setting() {
    let work = Work::with_rows();
    let pipeline = |rate: &str| {
        work.write(
            "p.toml",
            format!(
                "[data]\ntrain = \"rows.jsonl\"\n[teacher]\nmodel = \"tiny\"\n[student]\nlayers = [0]\nbatch_size = 8\n\
                 log_every = 1\nlearning_rate = {rate}\n"
            ),
        );
    };
    pipeline("1e30");
    for _ in 0..2 {
        work.run("run p.toml").exits(70).says("the loss is NaN");
        assert!(!work.json_lines("runs/p/student/metrics.jsonl").is_empty());
    }
    pipeline("1e-3");
    work.run("run p.toml").succeeds();
    assert!(work.path("runs/p/student/model/model.safetensors").exists());
}
