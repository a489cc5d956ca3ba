//! What `distill run` and `distill check` take: a pipeline file and how it is run.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

/// A pipeline file and how it is run.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Pipeline {
    /// Pipeline file: TOML with one table per stage
    #[arg(value_name = "PIPELINE.toml")]
    pub file: PathBuf,
    /// Directory of all stages [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run with each of these seeds in OUT/seed-N, and summarise them in one report
    #[arg(long, value_delimiter = ',', value_name = "N,N,…", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seeds: Vec<u64>,
    /// Repeat every stage, also those with an up-to-date result
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub common: Common,
}
