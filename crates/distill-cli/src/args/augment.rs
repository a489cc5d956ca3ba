//! `distill augment`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows};

/// `distill augment`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
OUT/rows.jsonl holds the rows and behind each its copies, without labels: `distill teacher` says what they mean.

Examples:
  distill augment --data train.jsonl --copies 2 --out runs/augmented
  distill augment --data train.jsonl --unlabelled more.jsonl --out runs/augmented
  distill augment --data train.csv --copies 1 --delete 0.2 --swap 0 --mix 0.3 --out runs/augmented
  distill augment --data train.jsonl --copies 4 --replace 0.4 --masked-model bert-base-uncased --out runs/augmented
  distill teacher --model runs/teacher/model --data runs/augmented/rows.jsonl --out runs/targets")]
pub struct Augment {
    /// Rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is OUT/rows.jsonl
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Copies of each row [default: 0]
    #[arg(long, value_name = "N")]
    pub copies: Option<u32>,
    /// Probability with which a word is left out [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub delete: Option<f64>,
    /// Exchanges of two words, as a share of the words [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub swap: Option<f64>,
    /// Probability with which a word is replaced, by a like one of --model or by one of --masked-model [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub replace: Option<f64>,
    /// Classifier whose word vectors say which words are alike; for --replace
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Masked language model that says which words may stand in the place of one that its vocabulary holds as one
    /// token; for --replace. Words of several tokens are left to --model
    #[arg(long, value_name = "DIR")]
    pub masked_model: Option<PathBuf>,
    /// Further rows, which go behind the others without their labels, as `unlabelled-ID`
    #[arg(long, value_name = "SRC")]
    pub unlabelled: Option<PathBuf>,
    /// Probability with which a copy's second half is that of another row [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub mix: Option<f64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
