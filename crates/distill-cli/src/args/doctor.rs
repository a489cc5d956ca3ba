//! `distill doctor`

use clap::Args as ClapArgs;

use super::Common;

/// `distill doctor`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill doctor
  distill doctor --device cuda --json")]
pub struct Doctor {
    #[command(flatten)]
    pub common: Common,
}
