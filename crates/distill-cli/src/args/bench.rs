//! `distill bench`

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::{Common, Rows};

/// `distill bench`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Nothing is kept: the passes write into a temporary directory. FLOP/s count the matrix products that the
whole model does on real tokens, so work that is saved counts as done. Figures are medians over the rounds,
that of the matrix product too. The student's rows a second count its steps; the shares are of one epoch
with reading, tokenizing, the token cache, loading and writing.

Examples:
  distill bench --model runs/teacher/model --data train.jsonl
  distill bench --model models/all-MiniLM-L6-v2 --lengths lognormal:24..256 --max-length 256 \\
                --rows 4000 --pass teacher
  distill bench --model runs/teacher/model --layers 0,2,4 --pass student --trace step.json")]
pub struct Bench {
    /// A classifier, an encoder, or a config.json for fresh weights of that shape
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Directory of the tokenizer [default: that of --model]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Rows to run over [default: made up]
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Tokens of made-up rows: a number; two for lengths evenly between them; `lognormal:MEDIAN..MAX` for many short
    /// rows and few long ones, a hundredth of them cut at MAX; or lengths with their shares, `16:0.7,128:0.3`
    #[arg(
        long,
        value_name = "N|A..B|lognormal:A..B|N:SHARE,…",
        default_value = "8..64",
        conflicts_with = "data"
    )]
    pub lengths: String,
    /// Rows of a pass [default: all of --data, or 2000]
    #[arg(long = "rows", value_name = "N")]
    pub count: Option<usize>,
    /// What to time
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Pass::Teacher, Pass::Student])]
    pub pass: Vec<Pass>,
    /// Times each pass is run; the passes take turns
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Layers of --model that the student has [default: all]
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    pub layers: Option<Vec<usize>>,
    /// Rows of a training step [default: 32]
    #[arg(long, value_name = "ROWS")]
    pub batch_size: Option<usize>,
    /// Tokens of a batch at most, in both passes [default: teacher 2048, student 8192 on a CPU, both 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}

/// A pass that can be timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pass {
    /// Tokenize, compute logits, write the store.
    Teacher,
    /// Read, tokenize, train for one epoch, write the model.
    Student,
}
