//! `distill cache`

use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};

use super::Common;
use super::common::age;

/// `distill cache`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill cache info
  distill cache clean --older-than 7d
  distill cache clean --dry-run")]
pub struct Cache {
    #[command(subcommand)]
    pub action: CacheAction,
    #[command(flatten)]
    pub common: Common,
}

/// What to do with kept tokens and features.
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Say where they lie, what each was made of and how large it is
    Info,
    /// Remove those that no run is using
    Clean(Clean),
}

/// `distill cache clean`
#[derive(Debug, ClapArgs)]
pub struct Clean {
    /// Only those that no run has opened for this time, such as 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub older_than: Option<Duration>,
}
