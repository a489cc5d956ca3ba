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
    /// List the caches with their directory, source and size
    Info,
    /// Remove the caches that no run is using
    Clean(Clean),
}

/// `distill cache clean`
#[derive(Debug, ClapArgs)]
pub struct Clean {
    /// Only caches that no run has opened for this time, such as 12h or 7d
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub older_than: Option<Duration>,
}
