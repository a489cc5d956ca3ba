//! `distill finetune`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows, Training};

/// `distill finetune`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill finetune --model models/all-MiniLM-L6-v2 --data train.jsonl \\
                   --out runs/teacher
  distill finetune --model FacebookAI/roberta-base --data train.csv \\
                   --label-column topic --validation dev.csv --epochs 4 \\
                   --learning-rate 1e-4 --out runs/teacher")]
pub struct Finetune {
    /// Hugging Face directory, or name on the hub, to start from
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Directory of another tokenizer, such as one from `distill tokenizer train`: its vocabulary replaces the model's
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Labelled training rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is in OUT/model
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub common: Common,
}
