//! A folder for each test, and what a run of the binary printed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// The golden model, three layers and five labels.
pub const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bert-tiny");

/// What the tests' own environment must not decide: settings, and the number of a scheduler's task.
const FOREIGN: [&str; 6] = ["DISTILL_", "SLURM_", "JOB_COMPLETION", "COMPLETIONS", "RANK", "WORLD_SIZE"];

/// A folder of its own, in which the binary runs with an environment of its own.
pub struct Work {
    directory: TempDir,
}

/// One finished run.
pub struct Run {
    pub command: String,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Work {
    /// An empty folder but for `tiny`, a link to the golden model.
    pub fn new() -> Self {
        let work = Work { directory: tempfile::tempdir().unwrap() };
        std::os::unix::fs::symlink(Path::new(TINY).canonicalize().unwrap(), work.path("tiny")).unwrap();
        work
    }

    /// With `rows.jsonl`, 40 labelled rows, and `test.jsonl`, 20 others.
    pub fn with_rows() -> Self {
        let work = Self::new();
        work.write("rows.jsonl", crate::files::jsonl(&crate::files::rows(40, "r")));
        work.write("test.jsonl", crate::files::jsonl(&crate::files::rows(20, "t")));
        work
    }

    /// As [`Work::with_rows`], with the store `targets` of the golden model over `rows.jsonl`.
    pub fn with_targets() -> Self {
        let work = Self::with_rows();
        work.run("teacher --model tiny --data rows.jsonl --out targets").succeeds();
        work
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    #[allow(clippy::disallowed_methods)]
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The objects of a JSONL file.
    pub fn json_lines(&self, name: &str) -> Vec<Value> {
        lines(&self.read(name))
    }

    /// Everything below a folder but locks, sorted; folders end in `/`.
    pub fn tree(&self, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.path(name), "", &mut found);
        found.sort();
        found
    }

    /// The command with this environment: one thread, the CPU, short rows, caches in this folder.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if FOREIGN.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.directory.path())
            .env_remove("RUST_BACKTRACE")
            .env_remove("GITHUB_STEP_SUMMARY")
            .env_remove("GITHUB_ACTIONS")
            .env("HF_HUB_OFFLINE", "1")
            .env("HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.path("home/.cache"))
            .env("CUDA_VISIBLE_DEVICES", "")
            .env("DISTILL_CACHE", self.path("cache"))
            .env("DISTILL_THREADS", "1")
            .env("DISTILL_DEVICE", "cpu")
            .env("DISTILL_DATA_MAX_LENGTH", "32")
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary with arguments separated by spaces.
    pub fn run(&self, arguments: &str) -> Run {
        self.run_with(arguments, &[], &[])
    }

    /// Runs the binary with further arguments that may hold spaces, and further environment.
    pub fn run_with(&self, arguments: &str, more: &[&str], environment: &[(&str, &str)]) -> Run {
        let mut command = self.command(binary());
        command.args(arguments.split_whitespace()).args(more).envs(environment.iter().copied());
        let output = command.output().unwrap();
        Run::of(format!("distill {arguments} {}", more.join(" ")), output)
    }
}

/// Starts the binary; what it prints is kept for whoever waits for it.
pub fn spawn(work: &Work, arguments: &str) -> std::process::Child {
    let mut command = work.command(binary());
    command.args(arguments.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_distill")
}

/// The JSON objects of a text, one a line.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn collect(directory: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()))
    {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.push(format!("{name}/"));
            collect(&entry.path(), &format!("{name}/"), found);
        } else if entry.file_name() != ".lock" {
            found.push(name);
        }
    }
}

impl Run {
    pub fn of(command: String, output: Output) -> Self {
        Run {
            command,
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asserts an exit code, and that no defect was reported.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        let defect =
            self.stderr.contains("panicked") || self.stderr.lines().any(|line| line.starts_with("internal"));
        assert!(self.code == Some(code) && !defect, "expected exit code {code}\n{}", self.shown());
        self
    }

    /// Asserts exit code 0 and a stderr without errors.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        let run = self.exits(0);
        assert!(!run.stderr.contains("error:"), "{}", run.shown());
        run
    }

    /// Asserts an exit code, nothing on stdout, and one line of error, the last, with all of `parts`.
    #[track_caller]
    pub fn fails(self, code: i32, parts: &[&str]) -> Self {
        let run = self.exits(code);
        assert_eq!(run.stdout, "", "{}", run.shown());
        let errors: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("error:")).collect();
        assert!(errors.len() == 1 && run.stderr.lines().last() == Some(errors[0]), "{}", run.shown());
        for part in parts {
            assert!(errors[0].contains(part), "{part:?} is not in the error\n{}", run.shown());
        }
        run
    }

    /// Asserts that the command line itself was refused, with all of `parts` in what was said.
    #[track_caller]
    pub fn fails_usage(self, parts: &[&str]) -> Self {
        let run = self.exits(2);
        assert!(run.stdout.is_empty() && parts.iter().all(|part| run.stderr.contains(part)), "{}", run.shown());
        run
    }

    /// Asserts that stderr says something.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.stderr.contains(part), "{part:?} is not in stderr\n{}", self.shown());
        self
    }

    /// stdout as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}", self.shown()))
    }

    pub fn shown(&self) -> String {
        format!(
            "$ {}\nexit {:?}\n-- stdout\n{}\n-- stderr\n{}",
            self.command, self.code, self.stdout, self.stderr
        )
    }
}
