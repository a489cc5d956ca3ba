//! Faults in real processes: `tests/faults/shim.c` is preloaded, counts the calls that touch files, and fails one of
//! them or kills the process inside it. The program knows nothing of it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Run, Work, binary, lines};

/// The shim, compiled once a test process.
static SHIM: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/faults/shim.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}.so", std::process::id()));
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status();
    assert!(compiled.unwrap().success(), "the shim does not compile");
    library
});

const KINDS: [&str; 11] =
    ["write", "fsync", "rename", "open", "read_open", "read", "mkdir", "remove", "truncate", "change", "flock"];

/// What the shim is to do, and at which call.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub kind: &'static str,
    pub at: u64,
    pub action: &'static str,
    pub sticky: bool,
}

/// What the shim saw.
#[derive(Clone, Debug)]
pub struct Seen {
    counts: Vec<u64>,
    /// The file of the fault, if it happened.
    pub path: Option<PathBuf>,
    directory: PathBuf,
}

impl Seen {
    pub fn count(&self, kind: &str) -> u64 {
        self.counts[KINDS.iter().position(|known| *known == kind).unwrap()]
    }

    fn read(file: &Path, directory: PathBuf) -> Self {
        let bytes = std::fs::read(file).unwrap();
        let number = |index: usize| u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().unwrap());
        let path = bytes[(KINDS.len() + 1) * 8..].split(|byte| *byte == 0).next().unwrap();
        let happened = number(KINDS.len()) == 1;
        let path = happened.then(|| PathBuf::from(String::from_utf8(path.to_vec()).unwrap()));
        std::fs::remove_file(file).unwrap();
        Seen { counts: (0..KINDS.len()).map(number).collect(), path, directory }
    }

    /// The names under which the user knows the file: `.NAME.RANDOM.tmp` becomes `NAME`; of a directory that is
    /// removed with all that is in it, its own name will do. In the test's folder itself only `out` is made.
    pub fn names(&self) -> Vec<String> {
        let path = self.path.clone().unwrap();
        if path == self.directory {
            return vec!["out".to_owned()];
        }
        let parts = [Some(path.as_path()), path.parent().filter(|parent| is_half_written(parent))];
        parts.into_iter().flatten().map(final_name).collect()
    }
}

fn is_half_written(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.ends_with(".tmp")
}

fn final_name(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    match name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")) {
        Some(inner) if inner == "model" || inner.starts_with("step-") => inner.to_owned(),
        Some(inner) => inner.rsplit_once('.').map_or(inner, |(name, _)| name).to_owned(),
        None => name,
    }
}

/// The command with the shim in it; counts go to `counts` next to the test's folder.
fn preloaded(work: &Work, arguments: &str, fault: Option<Fault>) -> (Command, PathBuf, PathBuf) {
    preloaded_below(work, ".", arguments, fault)
}

/// As [`preloaded`], counting what happens below one folder of the test's; `instead` is what takes a file's place.
fn preloaded_below(
    work: &Work,
    below: &str,
    arguments: &str,
    fault: Option<Fault>,
) -> (Command, PathBuf, PathBuf) {
    let directory = work.path(below).canonicalize().unwrap();
    let counts = work.path(".").canonicalize().unwrap().with_extension("counts");
    let mut command = work.command(binary());
    command.args(arguments.split_whitespace());
    command.env("FAULT_WITH", work.path("instead"));
    command.env("LD_PRELOAD", &*SHIM).env("FAULT_DIR", &directory).env("FAULT_COUNTS", &counts);
    if let Some(Fault { kind, at, action, sticky }) = fault {
        command.env("FAULT_KIND", kind).env("FAULT_AT", at.to_string()).env("FAULT_DO", action);
        if sticky {
            command.env("FAULT_STICKY", "1");
        }
    }
    (command, counts, directory)
}

/// Runs to the end, or to where the shim kills it.
pub fn run(work: &Work, arguments: &str, fault: Option<Fault>) -> (Run, Seen) {
    let (mut command, counts, directory) = preloaded(work, arguments, fault);
    let output = command.output().unwrap();
    (Run::of(format!("distill {arguments} with {fault:?}"), output), Seen::read(&counts, directory))
}

/// As [`run`], counting what happens below one folder of the test's.
pub fn run_below(work: &Work, below: &str, arguments: &str, fault: Option<Fault>) -> (Run, Seen) {
    let (mut command, counts, directory) = preloaded_below(work, below, arguments, fault);
    let output = command.output().unwrap();
    (Run::of(format!("distill {arguments} with {fault:?}"), output), Seen::read(&counts, directory))
}

/// As [`run`] with every call of the kind failing, without waiting; stderr goes to the file `stderr` of the test's folder.
pub fn start_failing(work: &Work, arguments: &str, kind: &'static str, action: &'static str) -> Child {
    let fault = Fault { kind, at: 1, action, sticky: true };
    let (mut command, ..) = preloaded(work, arguments, Some(fault));
    let stderr = std::fs::File::create(work.path("stderr")).unwrap();
    command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

/// Starts without waiting; nothing is read of what it says.
pub fn start(work: &Work, arguments: &str) -> Child {
    let mut command = work.command(binary());
    command.args(arguments.split_whitespace());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a child has its signal handlers: before that the program is not loaded, and the system ends it.
pub fn wait_until_watching(child: &Child) {
    const TERM: u64 = 1 << 14;
    let status = format!("/proc/{}/status", child.id());
    let caught = |text: &str| {
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    };
    let start = Instant::now();
    while std::fs::read_to_string(&status).ok().as_deref().and_then(caught).is_none_or(|mask| mask & TERM == 0)
    {
        assert!(start.elapsed() < Duration::from_secs(60), "it never watches for signals");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The exit code, or none where a signal ended it; fails where that takes longer than `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Option<i32> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if start.elapsed() > limit {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it does not end within {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// Numbers that are the same in every run of the tests (xorshift).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// A small run of one of the two passes, and what an undisturbed one left.
pub struct Pass {
    pub work: Work,
    pub command: String,
    pub seen: Seen,
    pub time: Duration,
}

impl Pass {
    /// A teacher pass over so many rows, in files of 4,096.
    pub fn teacher(rows: usize) -> Self {
        let work = Work::new();
        work.write("many.jsonl", crate::files::jsonl(&crate::files::rows(rows, "m")));
        Self::of(work, "teacher --model tiny --data many.jsonl --shard-rows 4096".to_owned())
    }

    /// Training with so many epochs of five steps and a checkpoint every four.
    pub fn training(epochs: usize) -> Self {
        let work = Work::with_targets();
        let settings = "--batch-size 8 --checkpoint-every 4 --set student.log_every=2";
        Self::of(
            work,
            format!("student --targets targets --init tiny --layers 0,2 --epochs {epochs} {settings}"),
        )
    }

    fn of(work: Work, command: String) -> Self {
        let start = Instant::now();
        let (run, seen) = run(&work, &format!("{command} --out whole"), None);
        run.succeeds();
        let pass = Pass { work, command, seen, time: start.elapsed() };
        pass.forget_cache();
        pass
    }

    /// The command into `out`.
    pub fn command_line(&self) -> String {
        format!("{} --out out", self.command)
    }

    fn forget_cache(&self) {
        if self.work.path("cache").exists() {
            std::fs::remove_dir_all(self.work.path("cache")).unwrap();
        }
    }

    /// Begins anew.
    pub fn forget(&self) {
        std::fs::remove_dir_all(self.work.path("out")).unwrap();
        self.forget_cache();
    }

    /// The result is that of the undisturbed run, to the byte but for times; nothing else is left.
    #[track_caller]
    pub fn assert_same(&self) {
        let left = |out: &str| -> Vec<String> {
            self.work.tree(out).into_iter().filter(|name| !name.ends_with(".tokens.lock")).collect()
        };
        assert_eq!(left("whole"), left("out"));
        for name in left("whole").iter().filter(|name| !name.ends_with('/') && *name != "run.json") {
            let [whole, out] = ["whole", "out"].map(|root| self.work.bytes(&format!("{root}/{name}")));
            if name == "metrics.jsonl" {
                assert_eq!(course(&whole), course(&out));
            } else {
                assert!(whole == out, "{name} differs");
            }
        }
        let [whole, out] = ["whole", "out"].map(|root| self.work.json(&format!("{root}/run.json")));
        for key in ["settings", "inputs", "versions"] {
            assert_eq!(whole[key], out[key]);
        }
        assert!(!out["results"].as_object().unwrap().is_empty());
    }

    /// Whatever has its own name is whole: JSON that parses (of `metrics.jsonl` its ended lines), files of the
    /// undisturbed run, checkpoints and caches that their manifests agree with.
    #[track_caller]
    pub fn assert_nothing_damaged_is_visible(&self) {
        for root in ["out", "cache"] {
            if self.work.path(root).exists() {
                let names = self.work.tree(root);
                names.iter().filter(|name| !half_written(name)).for_each(|name| self.assert_whole(root, name));
            }
        }
    }

    fn assert_whole(&self, root: &str, name: &str) {
        let path = format!("{root}/{name}");
        match name {
            _ if name.ends_with('/') || name.ends_with(".lock") => {}
            // It alone grows in place: a kill may cut its last line, which the next run removes.
            "metrics.jsonl" => drop(lines(whole_lines(&self.work.read(&path)))),
            _ if name.ends_with(".tokens.arrow") => {}
            _ if name.ends_with(".tokens.json") => {
                let arrow = self.work.path(&path.replace(".tokens.json", ".tokens.arrow"));
                assert_eq!(self.work.json(&path)["blake3"], distill_core::hash::file_hash(&arrow).unwrap());
            }
            _ if name.ends_with("/manifest.json") => {
                for (file, mark) in self.work.json(&path)["files"].as_object().unwrap() {
                    let file = self.work.path(&path).with_file_name(file);
                    assert_eq!(mark["blake3"], distill_core::hash::file_hash(&file).unwrap(), "{path}");
                }
            }
            _ if name.starts_with("checkpoints/") => {
                assert!(self.work.path(&path).with_file_name("manifest.json").exists(), "{path}");
            }
            "run.json" | "shards.json" => drop(self.work.json(&path)),
            _ => assert!(self.work.bytes(&path) == self.work.bytes(&format!("whole/{name}")), "{path}"),
        }
    }
}

fn half_written(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') && part.ends_with(".tmp"))
}

/// `metrics.jsonl` without what depends on time.
/// A text without a last line that has no end.
fn whole_lines(text: &str) -> &str {
    &text[..text.rfind('\n').map_or(0, |end| end + 1)]
}

fn course(text: &[u8]) -> Vec<Value> {
    let mut lines = lines(std::str::from_utf8(text).unwrap());
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("rows_per_second");
    }
    lines
}
