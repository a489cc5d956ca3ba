//! `pipelines/schedulers/slurm.sh` under a scheduler that is not one: it forwards the warning and requeues on 75.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::files;
use crate::harness::{Work, binary};

const SLURM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../pipelines/schedulers/slurm.sh");

/// A folder `bin` with an `scontrol` that notes what it was asked, and `distill` as given.
fn programs(work: &Work, distill: &str) {
    std::fs::create_dir(work.path("bin")).unwrap();
    for (name, text) in [("scontrol", "echo \"$@\" >> scontrol.log"), ("distill", distill)] {
        work.write(&format!("bin/{name}"), format!("#!/bin/sh\n{text}\n"));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(work.path(&format!("bin/{name}")), mode).unwrap();
    }
}

/// Starts the script as task 3 of an array from 1 to 4.
fn start(work: &Work) -> Child {
    let path = format!("{}:{}", work.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = work.command("bash");
    command.arg(SLURM).env("PATH", path).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, value) in [
        ("SLURM_ARRAY_JOB_ID", "77"),
        ("SLURM_ARRAY_TASK_ID", "3"),
        ("SLURM_ARRAY_TASK_COUNT", "4"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_CPUS_PER_TASK", "1"),
        ("MODEL", "tiny"),
        ("DATA", "rows.jsonl"),
        ("OUT", "shards"),
    ] {
        command.env(name, value);
    }
    command.spawn().unwrap()
}

fn wait_for(work: &Work, name: &str) {
    let start = Instant::now();
    while !work.path(name).exists() {
        assert!(start.elapsed() < Duration::from_secs(10), "{name} never comes");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, signal: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

fn shown(output: &Output) -> String {
    format!("{:?}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_task_of_a_slurm_array_computes_its_shard() {
    let work = Work::with_rows();
    programs(&work, &format!("exec {} \"$@\"", binary()));
    let output = start(&work).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    assert_eq!(work.json("shards/shard-00002-of-00004/manifest.json")["rows"], 0);
    assert!(!work.path("scontrol.log").exists());
    let rest: Vec<String> = [0, 1, 3].map(|index| format!("--shard {index}/4")).to_vec();
    for shard in rest {
        work.run(&format!("teacher --model tiny --data rows.jsonl --out shards {shard}")).succeeds();
    }
    work.run("targets merge shards --out targets").succeeds();
    assert_eq!(work.read("rows.jsonl"), files::jsonl(&files::rows(40, "r")));
}

#[test]
fn slurms_warning_reaches_distill_and_a_stopped_task_is_requeued() {
    for warning in ["USR1", "TERM"] {
        let work = Work::with_rows();
        programs(
            &work,
            "trap 'sleep 0.3; echo stopped > stopped; exit 75' USR1\necho > started\nwhile :; do sleep 0.05; done",
        );
        let child = start(&work);
        wait_for(&work, "started");
        signal(&child, warning);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(75), "{}", shown(&output));
        assert_eq!(work.read("stopped"), "stopped\n", "the script waits for distill to end");
        assert_eq!(work.read("scontrol.log"), "requeue 77_3\n");
    }
}

#[test]
fn another_exit_code_ends_the_task() {
    let work = Work::with_rows();
    programs(&work, "exit 65");
    let output = start(&work).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(65), "{}", shown(&output));
    assert!(!work.path("scontrol.log").exists());
}
