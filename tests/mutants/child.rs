//! Reads many files in a process of its own, whose memory is limited and whose progress is watched.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use distill_core::Category;
use serde::{Deserialize, Serialize};

use crate::kinds::{KINDS, Kind};
use crate::mutate::{Random, mutant};
use crate::readers::Outcome;
use crate::{corpora, hostile};

/// Memory that a process may ask for, in KiB.
const MEMORY: u64 = 2 << 20;
/// How long one file may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How the child is told what to do.
const JOB: &str = "MUTANTS_JOB";

/// What a child does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// A kind's name, `corpora`, or a hostile file's name.
    pub what: String,
    pub first: u64,
    pub count: u64,
    pub directory: PathBuf,
}

/// What came of a job.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    pub read: u64,
    pub refused: u64,
    pub slowest_ms: u64,
    pub slowest: u64,
    pub peak_kib: u64,
    /// One error of each beginning, to look at.
    pub errors: Vec<String>,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.read += other.read;
        self.refused += other.refused;
        self.peak_kib = self.peak_kib.max(other.peak_kib);
        if other.slowest_ms > self.slowest_ms {
            (self.slowest_ms, self.slowest) = (other.slowest_ms, other.slowest);
        }
        self.errors.extend(other.errors);
    }

    /// Counts what was made of a file; an error must be one that a user can do something with.
    pub fn count(&mut self, number: u64, outcome: Outcome, took: Duration) {
        match outcome {
            Ok(()) => self.read += 1,
            Err(refusal) => {
                self.refused += 1;
                let text = &refusal.text;
                // A model that gives no numbers is told as a loss that is none.
                let fine =
                    matches!(refusal.category, Category::Data | Category::Usage) || text.contains("not finite");
                assert!(fine, "{number}: {:?}: {text}", refusal.category);
                assert!(!text.is_empty(), "{number}: an error without words");
                if self.errors.len() < 3 {
                    self.errors.push(text.clone());
                }
            }
        }
        let took = took.as_millis() as u64;
        if took > self.slowest_ms {
            (self.slowest_ms, self.slowest) = (took, number);
        }
    }
}

impl Job {
    pub fn new(what: &str, first: u64, count: u64, directory: &Path) -> Self {
        Job { what: what.to_owned(), first, count, directory: directory.to_owned() }
    }

    /// Does the job in another process.
    ///
    /// # Panics
    /// Where that process panics, aborts, asks for too much memory or takes too long over a file: with the
    /// number of the file.
    pub fn run(&self) -> Tally {
        let limit = format!("ulimit -d {MEMORY}; exec \"$@\"");
        let mut child = Command::new("sh")
            .args(["-c", &limit, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "child::work", "--ignored", "--nocapture", "--test-threads=1"])
            .env(JOB, serde_json::to_string(self).unwrap())
            .env("OMP_NUM_THREADS", "1")
            .env("RAYON_NUM_THREADS", "2")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.directory.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let status = self.watch(&mut child);
        let stderr = std::fs::read_to_string(self.directory.join("stderr")).unwrap_or_default();
        let last: Vec<&str> = stderr.lines().rev().take(12).collect();
        let shown: Vec<&str> = last.into_iter().rev().collect();
        assert!(
            status.is_some_and(|status| status.success()),
            "{} {}: {status:?}\n{}",
            self.what,
            self.current(),
            shown.join("\n")
        );
        assert!(!stderr.contains("panicked"), "{}: a panic was told\n{}", self.what, shown.join("\n"));
        serde_json::from_slice(&std::fs::read(self.directory.join("tally")).unwrap()).unwrap()
    }

    /// Waits for the child; none where it had to be ended.
    fn watch(&self, child: &mut Child) -> Option<std::process::ExitStatus> {
        let (mut at, mut since) = (String::new(), Instant::now());
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return Some(status);
            }
            let now = self.current();
            if now != at {
                (at, since) = (now, Instant::now());
            }
            // Starting the process is not part of reading a file.
            if since.elapsed() > LIMIT + Duration::from_secs(if at.is_empty() { 50 } else { 0 }) {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn current(&self) -> String {
        std::fs::read_to_string(self.directory.join("current")).unwrap_or_default()
    }

    /// Says which file is read now, for whoever watches.
    pub fn at(&self, number: u64) {
        std::fs::write(self.directory.join("current"), format!("number {number}")).unwrap();
    }
}

/// The child's side.
#[test]
#[ignore = "the other tests run it as a process of its own"]
fn work() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Job = serde_json::from_str(&job).unwrap();
    let files = job.directory.join("files");
    std::fs::create_dir_all(&files).unwrap();
    let mut tally = match KINDS.iter().find(|kind| kind.name == job.what) {
        Some(kind) => read_mutants(&job, kind, &files),
        None if job.what == corpora::NAME => corpora::read(&job, &files),
        None => hostile::read(&job, &files),
    };
    tally.peak_kib = peak_kib();
    std::fs::write(job.directory.join("tally"), serde_json::to_vec(&tally).unwrap()).unwrap();
}

fn read_mutants(job: &Job, kind: &Kind, files: &Path) -> Tally {
    let seeds = (kind.seeds)();
    let mut tally = Tally::default();
    for number in job.first..job.first + job.count {
        job.at(number);
        let mut random = Random::of(kind.name, number);
        let seed = &seeds[random.below(seeds.len())];
        let bytes = mutant(&mut random, seed, kind.dictionary);
        let start = Instant::now();
        let outcome = (kind.read)(files, &bytes);
        tally.count(number, outcome, start.elapsed());
    }
    tally
}

/// The most memory that this process has had at once.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
