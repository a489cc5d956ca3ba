//! `distill pretrain`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Training};

/// `distill pretrain`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill pretrain --model models/all-MiniLM-L6-v2 --data reviews.txt \\
                   --epochs 3 --out runs/adapted
  distill pretrain --model tiny/config.json --tokenizer models/own \\
                   --data texts.parquet --masking whole_word --out runs/fresh")]
pub struct Pretrain {
    /// Hugging Face directory, or name on the hub, to start from; or a config.json, for fresh weights
    #[arg(long, value_name = "DIR|config.json")]
    pub model: Option<PathBuf>,
    /// Directory of the tokenizer [default: the one of --model]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Texts, a document per row
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is in OUT/model
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// What is masked together: token, whole_word or span [default: token]
    #[arg(long, value_name = "WHAT")]
    pub masking: Option<String>,
    /// Share of the tokens that are predicted [default: 0.15]
    #[arg(long, value_name = "SHARE")]
    pub mask_probability: Option<f64>,
    /// Whether short documents share sequences: together or apart [default: together]
    #[arg(long, value_name = "HOW")]
    pub packing: Option<String>,
    #[command(flatten)]
    pub texts: Texts,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub common: Common,
}

/// How texts are read from plain text, Parquet, JSONL, CSV or TSV.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Texts")]
pub struct Texts {
    /// Column with the document's id [default: id if it exists, else the row number]
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// Column with the text [default: text]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// Column with a second text of the document [default: text_pair if it exists]
    #[arg(long, value_name = "NAME")]
    pub text_pair_column: Option<String>,
    /// Field separator of CSV and TSV: one character, or tab [default: from file extension and header]
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<String>,
    /// Tokens of a sequence, including special tokens; longer documents become several sequences [default: 128, or the
    /// model's if that is less]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,
}
