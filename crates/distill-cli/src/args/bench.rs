//! `distill bench`

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::{Common, Rows};

/// `distill bench`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Nothing is kept: the passes write to a temporary directory. FLOP/s count the matrix products of the whole model on \
real tokens, including work that an optimization avoids. All figures are medians over the rounds. The student's rows \
per second cover its training steps only. The time shares cover one epoch including reading, tokenizing, the token \
cache, loading and writing.

Examples:
  distill bench --model runs/teacher/model --data train.jsonl
  distill bench --model models/all-MiniLM-L6-v2 --lengths lognormal:24..256 \\
                --max-length 256 --rows 4000 --pass teacher
  distill bench --model runs/teacher/model --layers 0,2,4 --pass student \\
                --trace step.json")]
pub struct Bench {
    /// A classifier, an encoder, or a config.json (for newly initialized weights)
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Directory of the tokenizer [default: that of --model]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Rows to run on [default: generated rows]
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Tokens per generated row: a fixed number; A..B for lengths uniform between them; `lognormal:MEDIAN..MAX` for many
    /// short rows and few long ones, 1% of them truncated to MAX; or lengths with their shares, `16:0.7,128:0.3`
    #[arg(
        long,
        value_name = "N|A..B|lognormal:A..B|N:SHARE,…",
        default_value = "8..64",
        conflicts_with = "data"
    )]
    pub lengths: String,
    /// Rows per pass [default: all rows of --data, or 2000]
    #[arg(long = "rows", value_name = "N")]
    pub count: Option<usize>,
    /// Passes to time
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Pass::Teacher, Pass::Student])]
    pub pass: Vec<Pass>,
    /// Number of times to run each pass; the passes alternate
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Layers of --model to keep in the student, counted from 0 [default: all]
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    pub layers: Option<Vec<usize>>,
    /// Rows per training step [default: 32]
    #[arg(long, value_name = "ROWS")]
    pub batch_size: Option<usize>,
    /// Most tokens per batch in both passes [default: teacher 2048, student 8192 on a CPU, both 32768 on a GPU]
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
