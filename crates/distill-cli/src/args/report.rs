//! `distill report`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows};

/// `distill report`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The names `teacher`, `student` and `baseline` (the student trained without a teacher) give models their role. If \
none of these names is used, the first model is the teacher, the second the student, and the rest are others. Models \
with the same name are seeds of one model.

Examples:
  distill report --model teacher=runs/teacher/model \\
                 --model student=runs/student/model --data test.jsonl \\
                 --gate 'kept.accuracy >= 0.97' --out runs/report
  distill report --model student=runs/1/model --model student=runs/2/model \\
                 --data in-domain=test.jsonl --data cross-domain=other.csv \\
                 --slice source --no-timing --out runs/report
  distill report --predictions teacher=a.parquet \\
                 --predictions student=b.jsonl --out runs/report
  distill report --compare runs/old/report.json runs/report/report.json")]
pub struct Report {
    /// Classifier to run: DIR or NAME=DIR; repeatable
    #[arg(long, value_name = "[NAME=]DIR")]
    pub model: Vec<String>,
    /// Table of logits or probabilities to use instead of a model: Parquet, JSONL, CSV or TSV; repeatable
    #[arg(long, value_name = "[NAME[@DATA]=]FILE", conflicts_with = "model")]
    pub predictions: Vec<String>,
    /// Held-out labelled rows: SRC or NAME=SRC; repeatable. With --predictions, the source of labels and texts
    #[arg(long, value_name = "[NAME=]SRC")]
    pub data: Vec<String>,
    /// Directory for report.json, report.md and report.html
    #[arg(long, value_name = "DIR", required_unless_present = "compare")]
    pub out: Option<PathBuf>,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Condition that the student must meet, such as 'kept.accuracy >= 0.97'; repeatable
    #[arg(long, value_name = "CONDITION")]
    pub gate: Vec<String>,
    /// How a gate `with confidence` counts if the interval does not decide it [default: fail]
    #[arg(long, value_name = "fail|pass", value_parser = ["fail", "pass"])]
    pub undecided: Option<String>,
    /// Show figures for groups of rows: by a column, or by label, length or teacher_confidence; repeatable
    /// [default: label, length and teacher_confidence]
    #[arg(long, value_name = "COLUMN")]
    pub slice: Vec<String>,
    /// Label names in the order of the logits, for --predictions files without them
    #[arg(long, value_name = "NAME,NAME,…", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Do not measure speed and latency; the report then has the same bytes every time
    #[arg(long)]
    pub no_timing: bool,
    /// Also write the gates to this file as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the figures to the model card, README.md in the student's model directory
    #[arg(long, conflicts_with = "predictions")]
    pub card: bool,
    /// Only compare two existing reports and show what changed
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"],
          conflicts_with_all = ["model", "predictions", "data", "out", "gate"])]
    pub compare: Vec<PathBuf>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
