//! `distill teacher`

use std::path::PathBuf;

use clap::Args as ClapArgs;
use distill_data::logits::ShardSpec;

use super::{Common, Rows};

/// `distill teacher`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill teacher --model runs/teacher/model --data train.parquet \\
                  --out runs/targets
  distill teacher --model runs/teacher/model --data rows.csv --no-text \\
                  --float16 --out runs/targets
  distill teacher --model runs/teacher/model --data rows.parquet \\
                  --shard 0/8 --out runs/shards
  distill targets merge runs/shards --out runs/targets")]
pub struct Teacher {
    /// Classifier: Hugging Face directory, or name on the hub
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Rows, labelled or not
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Directory for the soft-target store
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Do not store texts; `distill student` then needs --data
    #[arg(long)]
    pub no_text: bool,
    /// Store logits as float16
    #[arg(long)]
    pub float16: bool,
    /// Compute shard I (from 0) of N, into OUT/shard-I-of-N; 0/1: all rows [default: from the environment of a
    /// Slurm array, a Kubernetes Indexed Job or RANK and WORLD_SIZE, else 0/1]
    #[arg(long, value_name = "I/N")]
    pub shard: Option<ShardSpec>,
    /// Rows per Parquet file of the store, a multiple of 4096 [default: 16384]
    #[arg(long, value_name = "ROWS")]
    pub shard_rows: Option<u64>,
    /// Most tokens per batch [default: 2048 on a CPU, 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
