//! `distill sweep`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

/// `distill sweep`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
SWEEP.toml names a pipeline file, a search method, and the values to try for settings of [student] or earlier \
stages:

  [sweep]
  pipeline = \"pipelines/trec.toml\"
  method = \"grid\"                 # or random, halving, one_at_a_time
  seeds = [1, 2, 3]

  [space]
  \"student.learning_rate\" = [1e-4, 2e-4]
  # a range is for random and halving
  \"student.temperature\" = { low = 1.0, high = 8.0, log = true }
  \"augment.copies\" = [0, 2]

Trials are compared on the validation part only. Each trial is an ordinary run in OUT/seed-N/trials. Repeating the \
command runs only the trials that are missing.

Examples:
  distill sweep sweeps/temperature.toml
  distill sweep sweeps/temperature.toml --out runs/temperature --max-time 2h")]
pub struct Sweep {
    // Tables of TOML, not links.
    #[allow(rustdoc::broken_intra_doc_links)]
    /// TOML file with [sweep] and [space]
    #[arg(value_name = "SWEEP.toml")]
    pub file: PathBuf,
    /// Directory for teachers, trials and the results table [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}
