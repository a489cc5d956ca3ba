//! The command line. Every flag of a stage is a setting of the same name; [`crate::settings`]
//! combines flags, environment and file. One file per subcommand, and one per group of shared flags:
//! [`common`], [`rows`], [`training`].

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
mod pipeline;
mod predict;
mod pretrain;
mod report;
mod rows;
mod run;
mod student;
mod sweep;
mod targets;
mod teacher;
mod tokenizer;
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
pub use pipeline::Pipeline;
pub use predict::Predict;
pub use pretrain::Pretrain;
pub use report::Report;
pub use rows::Rows;
pub use run::Run;
pub use student::Student;
pub use sweep::Sweep;
pub use targets::{AverageStores, Merge, Targets, TargetsAction};
pub use teacher::Teacher;
pub use tokenizer::{Tokenizer, TokenizerAction, TrainTokenizer};
pub use training::Training;

use clap::{Parser, Subcommand};

/// Distill a large text classifier into a small one and measure what is lost.
#[derive(Debug, Parser)]
#[command(name = "distill", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  distill finetune --model models/all-MiniLM-L6-v2 --data train.jsonl \\
                   --out runs/teacher
  distill teacher --model runs/teacher/model --data train.jsonl \\
                  --out runs/targets
  distill student --targets runs/targets --init runs/teacher/model \\
                  --layers 0,2,4 --out runs/student
  distill report --model teacher=runs/teacher/model \\
                 --model student=runs/student/model --data test.jsonl \\
                 --gate 'kept.accuracy >= 0.97' --out runs/report
  distill run pipelines/trec.toml

Exit codes: 0 done, 1 a quality gate failed or the teacher has nothing to teach, 2 wrong usage or settings, \
65 bad input data, 70 internal error, 73 output cannot be created, 74 I/O error, 75 stopped by a signal or a time \
limit.")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// The stages, and commands around them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train an encoder on unlabelled texts by masked language modelling
    Pretrain(Pretrain),
    /// Fine-tune an encoder on labelled rows, to get a teacher
    Finetune(Finetune),
    /// Make changed copies of rows for the teacher to label (delete, swap, replace words, mix rows)
    Augment(Augment),
    /// Run a teacher over rows and write its logits to Parquet (a soft-target store)
    Teacher(Teacher),
    /// Train a student on soft targets and labels
    Student(Box<Student>),
    /// Compare models on held-out rows, write a report, check quality gates
    Report(Report),
    /// Run a classifier over rows and write its predictions to a file
    Predict(Predict),
    /// Run all stages of a pipeline file, or those that are out of date
    Run(Run),
    /// Check a pipeline file without computing anything
    Check(Check),
    /// Describe a model directory, and the size of a student made from it
    Inspect(Inspect),
    /// Search settings: train many students of one pipeline and compare them on its validation part
    Sweep(Sweep),
    /// Measure what each component of a pipeline contributes, by removing one at a time
    Ablate(Ablate),
    /// Measure the speed of passes on this machine and where the time goes
    Bench(Bench),
    /// Train a tokenizer on texts
    Tokenizer(Tokenizer),
    /// Verify, merge, average and describe soft-target stores
    Targets(Targets),
    /// List and clear the caches of tokenized rows
    Cache(Cache),
    /// Show what this machine supports and what is missing
    Doctor(Doctor),
}
