//! `distill predict`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows};

/// `distill predict`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill predict --model runs/student/model --data rows.csv --out predictions.parquet
  distill predict --model runs/student/model --data rows.jsonl --out predictions.jsonl")]
pub struct Predict {
    /// The classifier
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// File to write: .parquet, .jsonl or .csv
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace OUT, if it is an earlier file of predictions
    #[arg(long)]
    pub overwrite: bool,
    /// Tokens of a batch at most [default: 2048 on a CPU, 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
