//! Flags of the training loop, for `pretrain`, `finetune` and `student`.

use clap::Args as ClapArgs;

/// How to train.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Training")]
pub struct Training {
    /// Passes over the training rows [default: 3]
    #[arg(long)]
    pub epochs: Option<u32>,
    /// Rows per step [default: 32]
    #[arg(long, value_name = "ROWS")]
    pub batch_size: Option<usize>,
    /// Most tokens per pass; gradients of a longer step are accumulated over several passes [default: 8192 on a CPU, 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    /// Peak learning rate [default: 5e-5]
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Learning rate schedule after the warmup: constant, linear, cosine, one_cycle or inverse_sqrt [default: linear]
    #[arg(long)]
    pub schedule: Option<String>,
    /// Optimizer: adamw, adam, sgd, lion or lamb [default: adamw]
    #[arg(long)]
    pub optimizer: Option<String>,
    /// Weights that are not trained: none, embeddings or encoder [default: none]
    #[arg(long)]
    pub freeze: Option<String>,
    /// Share of steps during which the learning rate rises to its peak [default: 0.1]
    #[arg(long)]
    pub warmup_ratio: Option<f64>,
    /// Weight decay, decoupled for adamw and lion [default: 0.01]
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Stop after this many epochs without improvement; 0: never [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    pub early_stopping_patience: Option<u32>,
    /// Validation rows: a file, or a share of the training rows such as 0.1 or 10% [default: 0.1]
    #[arg(long, value_name = "SRC|SHARE")]
    pub validation: Option<String>,
    /// Save a checkpoint every N steps (500) or minutes (5m); 0: only when stopped [default: 5m]
    #[arg(long, value_name = "STEPS|TIME")]
    pub checkpoint_every: Option<String>,
    /// Number of checkpoints to keep, the newest ones [default: 1]
    #[arg(long, value_name = "N")]
    pub keep_last: Option<usize>,
    /// Do not keep tokenized rows and features in the cache
    #[arg(long)]
    pub no_cache: bool,
}
