//! Stopping by a signal, and the lock that a running process holds.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{Work, binary};

/// A run that would take hours, and what it has said until it began to train.
struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(work: &Work, arguments: &str) -> Self {
        let mut command = work.command(binary());
        command.args(arguments.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("validation epoch") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended by itself: {said}");
        }
        Running { child, stderr }
    }

    fn pid(&self) -> String {
        self.child.id().to_string()
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {}", self.pid())]).status().unwrap();
        assert!(sent.success());
    }

    /// Exit code and the rest of stderr; fails where that takes longer than 10 s.
    fn ends(mut self) -> (Option<i32>, String) {
        let start = Instant::now();
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(start.elapsed() < Duration::from_secs(10), "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        (code, said)
    }
}

impl Drop for Running {
    /// A test that fails leaves no process behind.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

const HOURS: &str = "finetune --model tiny --data rows.jsonl --epochs 1000000 --out ft";

#[test]
fn a_signal_ends_a_training_run_with_75() {
    let work = Work::with_rows();
    for signal in ["TERM", "INT", "USR1"] {
        let running = Running::start(&work, &format!("{HOURS}-{signal}"));
        running.signal(signal);
        let (code, said) = running.ends();
        assert_eq!(code, Some(75), "{said}");
        assert!(said.contains(&format!("error: stopped by SIG{signal}")), "{said}");
        let out = format!("ft-{signal}");
        assert!(!work.path(&format!("{out}/model")).exists());
        assert_eq!(work.json(&format!("{out}/run.json"))["results"], serde_json::json!({}));
        let checkpoints = work.tree(&format!("{out}/checkpoints"));
        assert!(checkpoints.iter().any(|name| name.ends_with("state.json")), "{checkpoints:?}");
        assert!(!work.json_lines(&format!("{out}/metrics.jsonl")).is_empty());
    }
}

#[test]
fn a_second_run_into_a_locked_directory_names_the_holder() {
    let work = Work::with_rows();
    let running = Running::start(&work, HOURS);
    let pid = format!("pid {}", running.pid());
    for more in ["", "--overwrite"] {
        let start = Instant::now();
        let second = work.run(&format!("finetune --model tiny --data rows.jsonl --epochs 1 --out ft {more}"));
        second.fails(73, &["ft is in use by host", &pid]);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    running.signal("TERM");
    assert_eq!(running.ends().0, Some(75));
    work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft --overwrite").succeeds();
}
