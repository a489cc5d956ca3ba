//! Some ten thousand damaged files, of every kind that is read.

use crate::child::{Job, Tally};
use crate::kinds::KINDS;

/// Mutants that one process reads.
const BATCH: u64 = 400;

/// Mutants of all kinds together.
const ALL: u64 = 10_400;

/// `MUTANTS=100000` reads about ten times as many as usual; `MUTANTS_KIND` only one kind.
fn wanted(share: u64) -> u64 {
    let all: u64 = std::env::var("MUTANTS").ok().map_or(ALL, |all| all.parse().unwrap());
    (share * all).div_ceil(ALL)
}

#[test]
#[allow(clippy::print_stderr)]
fn every_mutant_is_refused_or_read() {
    assert_eq!(KINDS.iter().map(|kind| kind.share).sum::<u64>(), ALL);
    let only = std::env::var("MUTANTS_KIND").ok();
    eprintln!(
        "{:<22} {:>7} {:>7} {:>8} {:>12} {:>10}",
        "kind", "mutants", "read", "refused", "slowest (ms)", "peak (MiB)"
    );
    let mut all = Tally::default();
    for kind in KINDS.iter().filter(|kind| only.as_deref().is_none_or(|only| only == kind.name)) {
        let count = wanted(kind.share);
        let mut tally = Tally::default();
        for first in (0..count).step_by(BATCH as usize) {
            let directory = tempfile::tempdir().unwrap();
            tally.add(Job::new(kind.name, first, BATCH.min(count - first), directory.path()).run());
        }
        assert_eq!(tally.read + tally.refused, count);
        assert!(tally.refused > 0, "no mutant of {} is damaged enough", kind.name);
        say(kind.name, &tally);
        if only.is_some() {
            eprintln!("{}", tally.errors.join("\n"));
        }
        all.add(tally);
    }
    say("all", &all);
}

#[allow(clippy::print_stderr)]
fn say(name: &str, tally: &Tally) {
    let Tally { read, refused, slowest_ms, peak_kib, .. } = tally;
    eprintln!(
        "{name:<22} {:>7} {read:>7} {refused:>8} {slowest_ms:>12} {:>10}",
        read + refused,
        peak_kib >> 10
    );
}
