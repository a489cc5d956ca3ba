//! `distill ablate`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

/// `distill ablate`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
What is taken away, one at a time, as far as the pipeline uses it: layer initialisation, soft targets, labels, T², the
temperature, each loss inside the network, augmentation, the teachers behind the first, and every method of [student] that
is not at its default (loss, class_weights, freeze, layer_decay, ema_decay, optimizer, schedule, …). Students are compared
on the validation part alone. Each is an ordinary run in OUT/seed-N/trials: the same command again does only what is missing.

Examples:
  distill ablate pipelines/trec.toml
  distill ablate pipelines/trec.toml --seeds 1,2,3,4,5 --out runs/ablation --max-time 2h")]
pub struct Ablate {
    /// TOML file with a table a stage
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,
    /// Every student is trained with each of these
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3], value_name = "N,N,…",
          value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seeds: Vec<u64>,
    /// Directory of teachers, students and the table [default: runs/NAME-ablation]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}
