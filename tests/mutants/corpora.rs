//! Public damaged Parquet files: those under `tests/corpora`, and any directory that `DISTILL_CORPORA` names.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::child::{Job, Tally};
use crate::readers;

/// The job's name.
pub const NAME: &str = "corpora";
/// Committed files; fewer would mean that some were lost.
const COMMITTED: usize = 73;

fn files() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpora");
    let mut open = vec![own];
    open.extend(std::env::var_os("DISTILL_CORPORA").map(PathBuf::from));
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_none_or(|ending| ending != "md" && ending != "txt") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The child's side: one file.
pub fn read(job: &Job, directory: &Path) -> Tally {
    let mut tally = Tally::default();
    job.at(job.first);
    let bytes = std::fs::read(&files()[job.first as usize]).unwrap();
    let start = Instant::now();
    let outcome = readers::parquet(directory, &bytes);
    tally.count(job.first, outcome, start.elapsed());
    tally
}

#[test]
#[allow(clippy::print_stderr)]
fn every_public_damaged_file_is_refused_or_read() {
    let files = files();
    assert!(files.len() >= COMMITTED, "{} files", files.len());
    let mut all = Tally::default();
    for (number, file) in files.iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let tally = Job::new(NAME, number as u64, 1, directory.path()).run();
        let what = tally.errors.first().map_or("read", String::as_str);
        let name = file.file_name().unwrap().to_string_lossy();
        eprintln!("{:>6} ms {:>5} MiB {name}: {what}", tally.slowest_ms, tally.peak_kib >> 10);
        all.add(tally);
    }
    eprintln!(
        "{} files: {} read, {} refused, slowest {} ms, peak {} MiB",
        files.len(),
        all.read,
        all.refused,
        all.slowest_ms,
        all.peak_kib >> 10
    );
}
