//! Files from outside: whatever is in them, a reader gives an error or a right reading. It does not panic,
//! abort, or take more than 2 GiB or 10 s.
//!
//! Read in this order: `mutate` (how a file is damaged), `seeds` (the files that are damaged), `readers`
//! (what reads them), `kinds` (both in one table), `child` (a process of its own with a limit on its memory,
//! watched), `mutants` (10,400 of them; `MUTANTS=100000` for more), `corpora` (public damaged files), `hostile`
//! (files made to harm), `program` (the same through the real binary), `manifest` (every single bit),
//! `fuzz_lock` (the workspace of the fuzz targets).
// Helpers may fail as tests may: the allowance in clippy.toml ends at functions marked `#[test]`.
#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used)]

mod child;
mod corpora;
mod exit;
mod fuzz_lock;
mod hostile;
mod kinds;
mod manifest;
mod mutants;
mod mutate;
mod program;
mod readers;
mod seeds;
mod settings;
