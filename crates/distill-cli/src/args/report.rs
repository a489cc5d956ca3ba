//! `distill report`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows};

/// `distill report`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The model named `teacher` is the teacher, those named `student` are the student, those named
`baseline` the student without a teacher; else the order is teacher, student, others.
A name that is given to several models stands for several seeds of one.

Examples:
  distill report --model teacher=runs/teacher/model --model student=runs/student/model \\
                 --data test.jsonl --out runs/report --gate 'kept.accuracy >= 0.97'
  distill report --model student=runs/1/model --model student=runs/2/model --no-timing \\
                 --data in-domain=test.jsonl --data cross-domain=other.csv --slice source --out runs/report
  distill report --predictions teacher=a.parquet --predictions student=b.jsonl --out runs/report
  distill report --compare runs/old/report.json runs/report/report.json")]
pub struct Report {
    /// A classifier to run: DIR or NAME=DIR; repeatable
    #[arg(long, value_name = "[NAME=]DIR")]
    pub model: Vec<String>,
    /// A table of logits or probabilities to read, Parquet, JSONL or CSV; repeatable; no model is run
    #[arg(long, value_name = "[NAME[@DATA]=]FILE", conflicts_with = "model")]
    pub predictions: Vec<String>,
    /// Held-out labelled rows: SRC or NAME=SRC; repeatable. With --predictions: where labels and texts are
    #[arg(long, value_name = "[NAME=]SRC")]
    pub data: Vec<String>,
    /// Directory of report.json, report.md and report.html
    #[arg(long, value_name = "DIR", required_unless_present = "compare")]
    pub out: Option<PathBuf>,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// A condition that the student must meet, such as 'kept.accuracy >= 0.97'; repeatable
    #[arg(long, value_name = "CONDITION")]
    pub gate: Vec<String>,
    /// What a gate `with confidence` counts as where the interval does not tell [default: fail]
    #[arg(long, value_name = "fail|pass", value_parser = ["fail", "pass"])]
    pub undecided: Option<String>,
    /// Cut the rows by this column, or by label, length or teacher_confidence; repeatable
    /// [default: the last three]
    #[arg(long, value_name = "COLUMN")]
    pub slice: Vec<String>,
    /// Label names in the order of the logits, for tables that do not carry them
    #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Measure no speed and no latency; the report is then the same bytes every time
    #[arg(long)]
    pub no_timing: bool,
    /// Write the gates as JUnit XML too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the figures into the README.md of the student's model directory
    #[arg(long, conflicts_with = "predictions")]
    pub card: bool,
    /// Show what changed between two reports, and do nothing else
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"],
          conflicts_with_all = ["model", "predictions", "data", "out", "gate"])]
    pub compare: Vec<PathBuf>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
