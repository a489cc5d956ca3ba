//! `distill student`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows, Training};

/// `distill student`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill student --targets runs/targets --init runs/teacher/model --layers 0,2,4 --out runs/student
  distill student --targets runs/targets --init small/config.json --tokenizer runs/teacher/model \\
                  --temperature 4 --hard-weight 0.1 --soft-weight 0.9 --out runs/student")]
pub struct Student {
    /// Soft-target store from `distill teacher`; give it once for each of several teachers
    #[arg(long, value_name = "DIR")]
    pub targets: Vec<PathBuf>,
    /// What the student starts as: a Hugging Face directory or hub name, a config.json for fresh weights, or `teacher`
    #[arg(long, value_name = "DIR")]
    pub init: Option<PathBuf>,
    /// Teacher that runs beside the student, for losses inside the network
    #[arg(long, value_name = "DIR")]
    pub teacher_model: Option<PathBuf>,
    /// Layers of --init to keep, from 0, in the student's order [default: all]
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    pub layers: Option<Vec<usize>>,
    /// Keep the first columns and attention heads of --init, up to this width [default: all]
    #[arg(long, value_name = "N")]
    pub hidden_size: Option<i64>,
    /// Directory of the student's tokenizer [default: that of --init]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Rows of the store, where it was written with --no-text
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is in OUT/model
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Softens both models' logits in the soft loss [default: 2]
    #[arg(long)]
    pub temperature: Option<f64>,
    /// How the student's logits are compared with the teacher's: auto, kl, reverse_kl, js, mse, dkd, dist or bce
    /// [default: auto: kl; several classes a row: bce; numbers: mse]
    #[arg(long)]
    pub loss: Option<String>,
    /// Weight of cross-entropy with the labels [default: 0.5]
    #[arg(long)]
    pub hard_weight: Option<f64>,
    /// Weight of the comparison with the teacher; 0: no teacher [default: 0.5]
    #[arg(long)]
    pub soft_weight: Option<f64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub common: Common,
}
