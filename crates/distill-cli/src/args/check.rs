//! `distill check`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

/// `distill check`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Nothing is computed or written. All problems are listed together. The exit code is 2 if settings are wrong, else 65 \
if data is wrong. `distill run` starts with the same check. A model that would have to be fetched from the hub is \
listed but not fetched.

Examples:
  distill check pipelines/trec.toml
  distill check pipelines/trec.toml --set 'student.layers=[0,2]' --json")]
pub struct Check {
    /// Pipeline file: TOML with one table per stage
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,
    /// Directory of all stages [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Check a run with each of these seeds
    #[arg(long, value_delimiter = ',', value_name = "N,N,…", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seeds: Vec<u64>,
    /// Check a run that replaces all existing results
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub common: Common,
}
