//! `distill inspect`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::Common;

/// `distill inspect`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill inspect models/all-MiniLM-L6-v2
  distill inspect runs/teacher/model --layers 0,2,4
  distill inspect runs/teacher/model --hidden-size 192 --json")]
pub struct Inspect {
    /// Model directory, or name on the hub
    #[arg(value_name = "DIR")]
    pub model: PathBuf,
    /// Show the size of a student with these layers
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    pub layers: Option<Vec<usize>>,
    /// Show the size of a student with this hidden size
    #[arg(long, value_name = "N")]
    pub hidden_size: Option<i64>,
    #[command(flatten)]
    pub common: Common,
}
