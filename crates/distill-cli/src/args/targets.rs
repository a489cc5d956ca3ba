//! `distill targets`

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::Common;

/// `distill targets`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
DIR is a soft-target store, or a directory in which `distill teacher --shard` left those of its shards.

Examples:
  distill targets verify runs/targets
  distill targets merge runs/shards --out runs/targets
  distill targets merge first/targets second/targets --out runs/targets
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
    /// Hash every file and read every row again; exit code 65 where something is damaged
    Verify(Verify),
    /// Make one store of several, checking that each row is there once
    Merge(Merge),
    /// Count rows and labels; say what the logits belong to
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
    /// Replace what is in OUT
    #[arg(long)]
    pub overwrite: bool,
}

/// `distill targets info`
#[derive(Debug, ClapArgs)]
pub struct Info {
    /// A store
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}
