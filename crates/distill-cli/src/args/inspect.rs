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
    /// The model directory
    #[arg(value_name = "DIR")]
    pub model: PathBuf,
    /// Say what a student of these layers would weigh
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    pub layers: Option<Vec<usize>>,
    /// Say what a student of this width would weigh
    #[arg(long, value_name = "N")]
    pub hidden_size: Option<i64>,
    #[command(flatten)]
    pub common: Common,
}
