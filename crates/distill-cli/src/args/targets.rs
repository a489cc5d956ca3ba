//! `distill targets`

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use distill_student::teachers::Average;

use super::Common;

/// `distill targets`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
DIR is a soft-target store, or a directory with the shards that `distill teacher --shard` wrote.

Examples:
  distill targets verify runs/targets
  distill targets merge runs/shards --out runs/targets
  distill targets merge first/targets second/targets --out runs/targets
  distill targets average large/targets larger/targets --weights 1,2 \\
                          --average probabilities --out runs/targets
  distill targets info runs/targets --json")]
pub struct Targets {
    #[command(subcommand)]
    pub action: TargetsAction,
    #[command(flatten)]
    pub common: Common,
}

/// What to do with stores.
#[derive(Debug, Subcommand)]
pub enum TargetsAction {
    /// Hash every file and read every row; exit code 65 if something is damaged or missing
    Verify(Verify),
    /// Merge several stores into one, checking that no row is missing or duplicated
    Merge(Merge),
    /// Average the stores of several teachers over the same rows into one store
    Average(AverageStores),
    /// Show rows, labels and which teacher and data the logits come from
    Info(Info),
}

/// `distill targets verify`
#[derive(Debug, ClapArgs)]
pub struct Verify {
    /// Stores, or directories of shards
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,
}

/// `distill targets merge`
#[derive(Debug, ClapArgs)]
pub struct Merge {
    /// Stores, or directories of shards, in any order
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,
    /// Directory of the merged store
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
}

/// `distill targets average`
#[derive(Debug, ClapArgs)]
pub struct AverageStores {
    /// One store per teacher; rows, texts and labels are taken from the first
    #[arg(value_name = "DIR", required = true, num_args = 2..)]
    pub directories: Vec<PathBuf>,
    /// Weight of each teacher [default: equal weights]
    #[arg(long, value_delimiter = ',', value_name = "W,W,…")]
    pub weights: Vec<f64>,
    /// What to average
    #[arg(long, value_enum, default_value = "logits")]
    pub average: AverageArg,
    /// Directory of the averaged store
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
}

/// What is averaged.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AverageArg {
    /// Logits: a label that one teacher finds very unlikely stays unlikely
    Logits,
    /// Probabilities at temperature 1: a label that one teacher finds likely stays likely
    Probabilities,
}

impl From<AverageArg> for Average {
    fn from(asked: AverageArg) -> Self {
        match asked {
            AverageArg::Logits => Average::Logits,
            AverageArg::Probabilities => Average::Probabilities,
        }
    }
}

/// `distill targets info`
#[derive(Debug, ClapArgs)]
pub struct Info {
    /// A store
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
