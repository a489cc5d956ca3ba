//! `distill predict`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows};

/// `distill predict`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill predict --model runs/student/model --data rows.csv \\
                  --out predictions.parquet
  distill predict --model runs/student/model --data rows.jsonl \\
                  --out predictions.jsonl")]
pub struct Predict {
    /// Classifier: Hugging Face directory, or name on the hub
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Rows to classify
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// File to write: .parquet, .jsonl or .csv
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace OUT, if `distill predict` wrote it
    #[arg(long)]
    pub overwrite: bool,
    /// Most tokens per batch [default: 2048 on a CPU, 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
