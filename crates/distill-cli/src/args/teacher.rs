//! `distill teacher`

use std::path::PathBuf;

use clap::Args as ClapArgs;
use distill_data::logits::Portion;

use super::{Common, Rows};

/// `distill teacher`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill teacher --model runs/teacher/model --data train.parquet --out runs/targets
  distill teacher --model runs/teacher/model --data rows.csv --no-text --float16 --out runs/targets
  distill teacher --model runs/teacher/model --data rows.parquet --shard 0/8 --out runs/shards
  distill targets merge runs/shards --out runs/targets")]
pub struct Teacher {
    /// The classifier
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Rows, labelled or not
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Directory of the soft-target store
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Leave the texts out of the store; `distill student` then needs --data
    #[arg(long)]
    pub no_text: bool,
    /// Store logits as float16
    #[arg(long)]
    pub float16: bool,
    /// Compute one of N shards of the rows, I from 0, into OUT/shard-I-of-N; 0/1: all rows [default: what
    /// a Slurm array, a Kubernetes Indexed Job or RANK and WORLD_SIZE say, else 0/1]
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Portion>,
    /// Rows of a Parquet file of the store, a multiple of 4096 [default: 16384]
    #[arg(long, value_name = "ROWS")]
    pub shard_rows: Option<u64>,
    /// Tokens of a batch at most [default: 2048 on a CPU, 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
