//! `distill ablate`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

/// `distill ablate`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Components are removed one at a time, if the pipeline uses them: layer initialisation, soft targets, labels, T², \
the temperature, each loss on intermediate layers, augmentation, all teachers but the first, and every setting of \
[student] that is not at its default (loss, class_weights, freeze, layer_decay, ema_decay, optimizer, schedule, …). \
Students are compared on the validation part only. Each trial is an ordinary run in OUT/seed-N/trials. Repeating the \
command runs only the trials that are missing.

Examples:
  distill ablate pipelines/trec.toml
  distill ablate pipelines/trec.toml --seeds 1,2,3,4,5 --out runs/ablation \\
                 --max-time 2h")]
pub struct Ablate {
    /// Pipeline file: TOML with one table per stage
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,
    /// Train every student with each of these seeds
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3], value_name = "N,N,…",
          value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seeds: Vec<u64>,
    /// Directory for teachers, students and the results table [default: runs/NAME-ablation]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub common: Common,
}
