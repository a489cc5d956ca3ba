//! A run that was stopped goes on, and ends with the bytes of one that never was.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::Work;

const FINETUNE: &str = "finetune --model tiny --data rows.jsonl --epochs 40 --batch-size 8 --validation 0.2";

/// `metrics.jsonl` without what depends on time.
fn course(work: &Work, out: &str) -> Vec<Value> {
    let mut lines = work.json_lines(&format!("{out}/metrics.jsonl"));
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("rows_per_second");
    }
    lines
}

pub fn assert_same_run(work: &Work, left: &str, right: &str) {
    for name in ["model.safetensors", "config.json", "tokenizer.json", "README.md"] {
        let [a, b] = [left, right].map(|out| work.bytes(&format!("{out}/model/{name}")));
        assert!(a == b, "{name} differs");
    }
    assert_eq!(course(work, left), course(work, right));
    assert!(!work.path(&format!("{right}/checkpoints")).exists(), "a finished run keeps no checkpoints");
}

/// Runs `command` into `out` and kills it after a time that grows, until it ends by itself.
pub fn killed_often(work: &Work, command: &str, out: &str) -> usize {
    for kills in 0..60 {
        let mut child = work
            .command(crate::harness::binary())
            .args(command.split_whitespace())
            .args(["--out", out])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_millis(350 + 40 * kills);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() >= deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(status) = status {
            assert!(status.success(), "{status} after {kills} kills");
            return kills as usize;
        }
    }
    panic!("it never ends");
}

#[test]
fn training_that_is_killed_ends_with_the_same_bytes() {
    let work = Work::with_rows();
    work.run(&format!("{FINETUNE} --out whole")).succeeds();
    let kills = killed_often(&work, &format!("{FINETUNE} --checkpoint-every 7"), "killed");
    assert!(kills > 0, "it was too fast to be killed");
    assert_same_run(&work, "whole", "killed");
}

/// Batches of more than 512 tokens may be multiplied by another library than those of fewer.
#[test]
fn training_in_large_batches_that_is_killed_ends_with_the_same_bytes() {
    let work = Work::new();
    work.write("rows.jsonl", crate::files::jsonl(&crate::files::rows(300, "r")));
    let finetune = "finetune --model tiny --data rows.jsonl --epochs 40 --batch-size 120";
    for (dtype, whole, killed) in [("f32", "whole", "killed"), ("bf16", "whole-bf16", "killed-bf16")] {
        work.run(&format!("{finetune} --dtype {dtype} --out {whole}")).succeeds();
        let kills = killed_often(&work, &format!("{finetune} --dtype {dtype} --checkpoint-every 7"), killed);
        assert!(kills > 0, "it was too fast to be killed");
        assert_same_run(&work, whole, killed);
    }
}

#[test]
fn training_that_reaches_its_time_limit_writes_a_checkpoint_and_resumes() {
    let work = Work::with_targets();
    let student = "student --targets targets --init tiny --layers 0,2 --epochs 60 --batch-size 8";
    work.run(&format!("{student} --out whole")).succeeds();
    let mut stops = 0;
    while !work.path("limited/model").exists() {
        let run = work
            .run(&format!("{student} --checkpoint-every 0 --max-time 0.{}s --out limited", 3 + stops.min(6)));
        if run.code == Some(75) {
            run.fails(75, &["stopped by the time limit"]);
            stops += 1;
            assert!(stops < 60, "it never ends");
        } else {
            run.succeeds();
        }
    }
    assert!(stops > 0, "it was too fast to be stopped");
    assert_same_run(&work, "whole", "limited");
}

/// Everything that keeps something from step to step besides the weights: the momentum of another optimizer, a mean
/// of the weights, courses of rate and temperature, the turns of a balanced draw, what moves in which epoch.
#[test]
fn methods_with_state_resume_to_the_same_bytes() {
    let work = Work::with_targets();
    let student = "student --targets targets --init tiny --layers 0,2 --epochs 40 --batch-size 8 --optimizer lion \
                   --schedule cosine --set student.ema_decay=0.95 --set student.temperature_schedule=linear \
                   --set student.sampling=balanced --set student.gradual_unfreezing=true \
                   --set student.layer_decay=0.8 --loss js";
    work.run(&format!("{student} --out whole")).succeeds();
    let kills = killed_often(&work, &format!("{student} --checkpoint-every 7"), "killed");
    assert!(kills > 0, "it was too fast to be killed");
    assert_same_run(&work, "whole", "killed");
}

/// The same with the teacher next to the student: the projection and what the optimizer remembers of it.
#[test]
fn intermediate_losses_resume_to_the_same_bytes() {
    let work = Work::with_targets();
    let student = "student --targets targets --init tiny --teacher-model tiny --layers 0,2 --hidden-size 16 --epochs 20 \
                   --batch-size 8 --set student.hidden_weight=1 --set student.relation_weight=0.5 \
                   --set student.batch_tokens=40";
    work.run(&format!("{student} --out whole")).succeeds();
    let kills = killed_often(&work, &format!("{student} --checkpoint-every 3"), "killed");
    assert!(kills > 0, "it was too fast to be killed");
    assert_same_run(&work, "whole", "killed");
}

#[test]
fn a_teacher_pass_that_is_killed_ends_with_the_same_store() {
    let work = Work::new();
    work.write("many.jsonl", crate::files::jsonl(&crate::files::rows(3 * 4096 + 100, "m")));
    let teacher = "teacher --model tiny --data many.jsonl --shard-rows 4096";
    work.run(&format!("{teacher} --out whole")).succeeds();
    let kills = killed_often(&work, teacher, "killed");
    assert!(kills > 0, "it was too fast to be killed");
    let files = work.tree("whole");
    assert_eq!(files, work.tree("killed"));
    assert!(files.contains(&"train-00003-of-00004.parquet".to_owned()), "{files:?}");
    for name in files.iter().filter(|name| *name != "run.json") {
        assert!(
            work.bytes(&format!("whole/{name}")) == work.bytes(&format!("killed/{name}")),
            "{name} differs"
        );
    }
}

#[test]
fn the_same_command_again_does_nothing_and_another_one_is_refused() {
    let work = Work::with_rows();
    let first = work.run(&format!("{FINETUNE} --epochs 2 --out ft").replace("--epochs 40 ", "")).succeeds();
    let before = work.bytes("ft/run.json");
    let again = work.run(&format!("{FINETUNE} --epochs 2 --out ft").replace("--epochs 40 ", "")).succeeds();
    again.says("ft is up to date");
    assert_eq!(work.bytes("ft/run.json"), before);
    let other = work.run(&format!("{FINETUNE} --out ft"));
    other.fails(73, &["ft contains another run", "setting finetune.epochs changed: 2 → 40", "--overwrite"]);
    work.write("rows.jsonl", crate::files::jsonl(&crate::files::rows(39, "r")));
    let changed = work.run(&format!("{FINETUNE} --epochs 2 --out ft").replace("--epochs 40 ", ""));
    changed.fails(73, &["input data changed"]);
    assert!(!first.stdout.is_empty());
}
