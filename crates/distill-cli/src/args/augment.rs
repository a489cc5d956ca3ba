//! `distill augment`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows};

/// `distill augment`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
OUT/rows.jsonl contains each row followed by its copies. Copies have no labels; `distill teacher` computes soft \
targets for them.

Examples:
  distill augment --data train.jsonl --copies 2 --out runs/augmented
  distill augment --data train.jsonl --unlabelled more.jsonl \\
                  --out runs/augmented
  distill augment --data train.csv --copies 1 --delete 0.2 --swap 0 \\
                  --mix 0.3 --out runs/augmented
  distill augment --data train.jsonl --copies 4 --replace 0.4 \\
                  --masked-model bert-base-uncased --out runs/augmented
  distill teacher --model runs/teacher/model \\
                  --data runs/augmented/rows.jsonl --out runs/targets")]
pub struct Augment {
    /// Training rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is OUT/rows.jsonl
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Copies per row [default: 0]
    #[arg(long, value_name = "N")]
    pub copies: Option<u32>,
    /// Probability of deleting a word [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub delete: Option<f64>,
    /// Swaps of two words, as a share of the number of words [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub swap: Option<f64>,
    /// Probability of replacing a word, by a prediction of --masked-model or a neighbour in the embeddings of --model [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub replace: Option<f64>,
    /// For --replace: classifier whose word embeddings give similar words
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// For --replace: masked language model that predicts replacements. It replaces only words that are a single token
    /// in its vocabulary; --model replaces the others
    #[arg(long, value_name = "DIR")]
    pub masked_model: Option<PathBuf>,
    /// Additional rows, appended without labels, with ids `unlabelled-ID`
    #[arg(long, value_name = "SRC")]
    pub unlabelled: Option<PathBuf>,
    /// Probability that a copy's second half is taken from another row [default: 0]
    #[arg(long, value_name = "SHARE")]
    pub mix: Option<f64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
