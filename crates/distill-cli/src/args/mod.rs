//! What the user typed. Every flag of a stage is a setting of the same name; [`crate::settings`]
//! puts flags, environment and file together. One file a subcommand, and one a group of flags that
//! several share: [`common`], [`rows`], [`training`].

mod ablate;
mod augment;
mod bench;
mod cache;
mod check;
mod common;
mod doctor;
mod finetune;
mod inspect;
mod parse;
mod predict;
mod report;
mod rows;
mod run;
mod student;
mod sweep;
mod targets;
mod teacher;
mod training;

pub use ablate::Ablate;
pub use augment::Augment;
pub use bench::{Bench, Pass};
pub use cache::{Cache, CacheAction, Clean};
pub use check::Check;
pub use common::{Common, LogFormat, duration};
pub use doctor::Doctor;
pub use finetune::Finetune;
pub use inspect::Inspect;
pub use parse::parse;
pub use predict::Predict;
pub use report::Report;
pub use rows::Rows;
pub use run::Run;
pub use student::Student;
pub use sweep::Sweep;
pub use targets::{AverageStores, Merge, Targets, TargetsAction};
pub use teacher::Teacher;
pub use training::Training;

use clap::{Parser, Subcommand};

/// Turn a large text classifier into a small one and prove what was lost.
#[derive(Debug, Parser)]
#[command(name = "distill", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  distill finetune --model models/all-MiniLM-L6-v2 --data train.jsonl --out runs/teacher
  distill teacher --model runs/teacher/model --data train.jsonl --out runs/targets
  distill student --targets runs/targets --init runs/teacher/model --layers 0,2,4 --out runs/student
  distill report --model teacher=runs/teacher/model --model student=runs/student/model \\
                 --data test.jsonl --out runs/report --gate 'kept.accuracy >= 0.97'
  distill run pipelines/trec.toml

Exit codes: 0 done, 1 a quality gate failed or the teacher has nothing to teach, 2 wrong usage,
65 bad input data, 70 internal error, 73 output cannot be created, 74 I/O error, 75 stopped by a
signal or a time limit.")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// The stages, and what helps with them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune an encoder on labelled rows: a teacher
    Finetune(Finetune),
    /// Make more rows for a teacher to label: words left out, exchanged, mixed
    Augment(Augment),
    /// Run a classifier over rows and keep its soft targets in Parquet
    Teacher(Teacher),
    /// Train a small model on soft targets and labels
    Student(Student),
    /// Compare models on held-out rows, write the report, check the gates
    Report(Report),
    /// Run a classifier over rows and write labels and logits to one file
    Predict(Predict),
    /// Run all stages of a pipeline file
    Run(Run),
    /// Say what is wrong with a pipeline file before anything is computed
    Check(Check),
    /// Say what a model directory holds, and what a smaller student would weigh
    Inspect(Inspect),
    /// Train many students over one pipeline and compare them on its validation part
    Sweep(Sweep),
    /// Take away one component of a pipeline at a time and say what each is worth
    Ablate(Ablate),
    /// Time the passes on this machine and show where time goes
    Bench(Bench),
    /// Verify, merge, average and describe soft-target stores
    Targets(Targets),
    /// See and clear the caches of tokenized rows
    Cache(Cache),
    /// Say what this machine offers and what is missing
    Doctor(Doctor),
}
