//! `distill run`

use clap::Args as ClapArgs;

use super::Pipeline;

/// `distill run`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill run pipelines/trec.toml
  distill run pipelines/trec.toml --seed 2 --set student.epochs=3 \\
              --out runs/trec-2
  distill run pipelines/trec.toml --seeds 1,2,3
  distill run pipelines/trec.toml --dry-run")]
pub struct Run {
    #[command(flatten)]
    pub pipeline: Pipeline,
}
