//! `distill tokenizer`

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::{Common, Rows};

/// After the help of both.
const EXAMPLES: &str = "\
OUT contains tokenizer.json, tokenizer_config.json and special_tokens_map.json, which `--tokenizer OUT` and AutoTokenizer \
of transformers read.

Examples:
  distill tokenizer train --data corpus.txt --kind wordpiece --size 30000 \\
                          --out runs/tokenizer
  distill tokenizer train --data train.parquet --kind unigram --size 8000 \\
                          --out runs/tokenizer
  distill finetune --model models/all-MiniLM-L6-v2 --data train.jsonl \\
                   --tokenizer runs/tokenizer --out runs/teacher";

/// `distill tokenizer`
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Tokenizer {
    #[command(subcommand)]
    pub action: TokenizerAction,
}

/// What to do with a tokenizer.
#[derive(Debug, Subcommand)]
pub enum TokenizerAction {
    /// Train a tokenizer on texts
    Train(TrainTokenizer),
}

/// `distill tokenizer train`
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct TrainTokenizer {
    /// Texts: rows of any kind, or a .txt file with a text per line
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Kind of vocabulary: wordpiece (special tokens of BERT), unigram (of XLM-R) or bpe (byte-level, of RoBERTa)
    #[arg(long)]
    pub kind: Option<String>,
    /// Tokens at most, special tokens included [default: 30000]
    #[arg(long, value_name = "N")]
    pub size: Option<usize>,
    /// How often two tokens must follow each other to be merged; wordpiece and bpe [default: 2]
    #[arg(long, value_name = "N")]
    pub min_frequency: Option<u64>,
    /// Keep only the N most frequent characters; wordpiece and unigram [default: all]
    #[arg(long, value_name = "N")]
    pub limit_alphabet: Option<usize>,
    /// Lowercase texts [default: for wordpiece]
    #[arg(long, conflicts_with = "no_lowercase")]
    pub lowercase: bool,
    /// Keep capital letters [default: for unigram and bpe]
    #[arg(long)]
    pub no_lowercase: bool,
    /// Run directory, which contains the tokenizer
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}
