//! `distill check`

use clap::Args as ClapArgs;

use super::Pipeline;

/// `distill check`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Nothing is computed or written. All problems are listed together. The exit code is 2 if settings are wrong, else 65 \
if data is wrong. `distill run` starts with the same check. A model that would have to be fetched from the hub is \
listed but not fetched.

Examples:
  distill check pipelines/trec.toml
  distill check pipelines/trec.toml --set 'student.layers=[0,2]' --json")]
#[command(mut_arg("seeds", |arg| arg.help("Check a run with each of these seeds")))]
#[command(mut_arg("overwrite", |arg| arg.help("Check a run that replaces all existing results")))]
pub struct Check {
    #[command(flatten)]
    pub pipeline: Pipeline,
}
