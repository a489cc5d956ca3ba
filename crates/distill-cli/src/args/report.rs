//! `distill report`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows};

/// `distill report`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The first model named `teacher` is the teacher, the first named `student` the student, the first
named `baseline` the student without a teacher; else the order is teacher, student, others.

Examples:
  distill report --model teacher=runs/teacher/model --model student=runs/student/model \\
                 --data test.jsonl --out runs/report --gate 'kept.accuracy >= 0.97'
  distill report --predictions teacher=a.parquet --predictions student=b.jsonl --out runs/report")]
pub struct Report {
    /// A classifier to run: DIR or NAME=DIR; repeatable
    #[arg(long, value_name = "[NAME=]DIR")]
    pub model: Vec<String>,
    /// A logits table to read, Parquet or JSONL: FILE or NAME=FILE; repeatable; no model is run
    #[arg(long, value_name = "[NAME=]FILE")]
    pub predictions: Vec<String>,
    /// Held-out labelled rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Directory of report.json and report.md
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace what is in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// A condition that the student must meet, such as 'kept.accuracy >= 0.97'; repeatable
    #[arg(long, value_name = "CONDITION")]
    pub gate: Vec<String>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
