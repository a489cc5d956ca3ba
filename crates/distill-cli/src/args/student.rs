//! `distill student`

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{Common, Rows, Training};

/// `distill student`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill student --targets runs/targets --init runs/teacher/model \\
                  --layers 0,2,4 --out runs/student
  distill student --targets runs/targets --init small/config.json \\
                  --tokenizer runs/teacher/model --temperature 4 \\
                  --hard-weight 0.1 --soft-weight 0.9 --out runs/student
  distill student --targets runs/targets --init runs/teacher/model \\
                  --layers 0,2,4 --vocabulary-from train.jsonl \\
                  --out runs/student")]
pub struct Student {
    /// Soft-target store from `distill teacher`; repeat for several teachers
    #[arg(long, value_name = "DIR")]
    pub targets: Vec<PathBuf>,
    /// Model that the student starts from: a Hugging Face directory or hub name, a config.json (newly initialized
    /// weights), or `teacher`
    #[arg(long, value_name = "DIR")]
    pub init: Option<PathBuf>,
    /// Teacher to run next to the student, for losses on intermediate layers
    #[arg(long, value_name = "DIR")]
    pub teacher_model: Option<PathBuf>,
    /// Layers of --init to keep, counted from 0, in the student's order [default: all]
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    pub layers: Option<Vec<usize>>,
    /// Hidden size of the student: keep the first columns and attention heads of --init [default: all]
    #[arg(long, value_name = "N")]
    pub hidden_size: Option<i64>,
    /// Directory of the student's tokenizer [default: that of --init]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Make the vocabulary smaller: keep the tokens that these texts need, and drop the embeddings of all others
    #[arg(long, value_name = "SRC")]
    pub vocabulary_from: Option<PathBuf>,
    /// With --vocabulary-from: number of tokens to keep, the most frequent ones [default: all that the texts need]
    #[arg(long, value_name = "N")]
    pub vocabulary_size: Option<usize>,
    /// Width of the word vectors: approximate those of --init by narrower ones; ALBERT, ELECTRA and DeBERTa-v2 only
    #[arg(long, value_name = "N")]
    pub embedding_size: Option<i64>,
    /// Rows that the teacher read, if the store was written with --no-text
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is in OUT/model
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace the result of an earlier run in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Temperature: divides both models' logits in the soft loss [default: 2]
    #[arg(long)]
    pub temperature: Option<f64>,
    /// Soft loss, between the student's and the teacher's logits: auto, kl, reverse_kl, js, mse, dkd, dist or bce
    /// [default: auto, which is kl; multi-label: bce; regression: mse]
    #[arg(long)]
    pub loss: Option<String>,
    /// Weight of the hard loss, the cross-entropy with the labels [default: 0.5]
    #[arg(long)]
    pub hard_weight: Option<f64>,
    /// Weight of the soft loss; 0: no teacher [default: 0.5]
    #[arg(long)]
    pub soft_weight: Option<f64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub common: Common,
}
