//! What the user typed. Every flag of a stage is a setting of the same name; [`crate::settings`]
//! puts flags, environment and file together.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

/// Turn a large text classifier into a small one and prove what was lost.
#[derive(Debug, Parser)]
#[command(name = "distill", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  distill finetune --model models/all-MiniLM-L6-v2 --data train.jsonl --out runs/teacher
  distill teacher --model runs/teacher/model --data train.jsonl --out runs/targets
  distill student --targets runs/targets --init runs/teacher/model --layers 0,2,4 --out runs/student
  distill report --model teacher=runs/teacher/model --model student=runs/student/model \\
                 --data test.jsonl --out runs/report --gate 'kept.accuracy >= 0.97'
  distill run pipelines/trec.toml

Exit codes: 0 done, 1 a quality gate failed, 2 wrong usage, 65 bad input data, 70 internal error,
73 output cannot be created, 74 I/O error, 75 stopped by a signal or a time limit.")]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// The stages, and what helps with them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fine-tune an encoder on labelled rows: a teacher
    Finetune(Finetune),
    /// Run a classifier over rows and keep its soft targets in Parquet
    Teacher(Teacher),
    /// Train a small model on soft targets and labels
    Student(Student),
    /// Compare models on held-out rows, write the report, check the gates
    Report(Report),
    /// Run a classifier over rows and write labels and logits to one file
    Predict(Predict),
    /// Run all stages of a pipeline file
    Run(Run),
    /// Say what this machine offers and what is missing
    Doctor(Doctor),
}

/// Flags that every subcommand takes.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Where to compute: auto, cpu, cuda or cuda:N; cuda that cannot be used is an error
    #[arg(long, global = true)]
    pub device: Option<String>,
    /// Number format: f32, or bf16 for passes without training
    #[arg(long, global = true)]
    pub dtype: Option<String>,
    /// Decides shuffling, dropout, fresh weights and the validation part
    #[arg(long, global = true, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub seed: Option<u64>,
    /// Threads of one operator and of tokenization; default: the cores this process may use
    #[arg(long, global = true)]
    pub threads: Option<usize>,
    /// TOML file with settings, one table a stage
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, such as student.epochs=3; repeatable
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Stop in order after this time, such as 90s, 45m or 2h, with exit code 75
    #[arg(long, global = true, value_name = "TIME", value_parser = duration)]
    pub max_time: Option<Duration>,
    /// Print what would be done and stop
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// How to log to stderr
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "DISTILL_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// Log warnings and errors only, and draw no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// How to log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which columns hold what; rows come from Parquet, JSONL, CSV or TSV.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Rows")]
pub struct Rows {
    /// Column with each row's id [default: id, else the row number]
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// Column with the text [default: text]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// Column with the second text of a pair [default: text_pair, where there is one]
    #[arg(long, value_name = "NAME")]
    pub text_pair_column: Option<String>,
    /// Column with the label, a name or an id [default: label, where there is one]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// Tokens of a row at most, special ones included [default: 128]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,
}

/// How to train.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Training")]
pub struct Training {
    /// Passes over the training rows [default: 3]
    #[arg(long)]
    pub epochs: Option<u32>,
    /// Rows a step [default: 32]
    #[arg(long, value_name = "ROWS")]
    pub batch_size: Option<usize>,
    /// Peak learning rate [default: 5e-5]
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Share of steps in which the learning rate rises [default: 0.1]
    #[arg(long)]
    pub warmup_ratio: Option<f64>,
    /// Decoupled weight decay [default: 0.01]
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Epochs without improvement after which training stops; 0: never [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    pub early_stopping_patience: Option<u32>,
    /// Validation rows: a file, or a share of the training rows [default: 0.1]
    #[arg(long, value_name = "SRC|SHARE")]
    pub validation: Option<String>,
    /// Save every so many steps (500) or minutes (5m); 0: only when stopped [default: 5m]
    #[arg(long, value_name = "STEPS|TIME")]
    pub checkpoint_every: Option<String>,
    /// Checkpoints that stay, the newest [default: 1]
    #[arg(long, value_name = "N")]
    pub keep_last: Option<usize>,
    /// Tokenize into memory and leave no cache behind
    #[arg(long)]
    pub no_cache: bool,
}

/// `distill finetune`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill finetune --model models/all-MiniLM-L6-v2 --data train.jsonl --out runs/teacher
  distill finetune --model roberta --data train.csv --label-column topic --epochs 4 \\
                   --learning-rate 1e-4 --validation dev.csv --out runs/teacher")]
pub struct Finetune {
    /// Hugging Face directory to start from
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Labelled rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is in OUT/model
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace what is in OUT
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub common: Common,
}

/// `distill teacher`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill teacher --model runs/teacher/model --data train.parquet --out runs/targets
  distill teacher --model runs/teacher/model --data rows.csv --no-text --float16 --out runs/targets")]
pub struct Teacher {
    /// The classifier
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Rows, labelled or not
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Directory of the soft-target store
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace what is in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Leave the texts out of the store; `distill student` then needs --data
    #[arg(long)]
    pub no_text: bool,
    /// Store logits as float16
    #[arg(long)]
    pub float16: bool,
    /// Rows of a Parquet file of the store, a multiple of 4096 [default: 16384]
    #[arg(long, value_name = "ROWS")]
    pub shard_rows: Option<u64>,
    /// Tokens of a batch at most [default: 2048 on a CPU, 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}

/// `distill student`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill student --targets runs/targets --init runs/teacher/model --layers 0,2,4 --out runs/student
  distill student --targets runs/targets --init small/config.json --tokenizer runs/teacher/model \\
                  --temperature 4 --hard-weight 0.1 --soft-weight 0.9 --out runs/student")]
pub struct Student {
    /// Soft-target store from `distill teacher`
    #[arg(long, value_name = "DIR")]
    pub targets: Option<PathBuf>,
    /// What the student starts as: a Hugging Face directory, or a config.json for fresh weights
    #[arg(long, value_name = "DIR")]
    pub init: Option<PathBuf>,
    /// Layers of --init to keep, from 0, in the student's order [default: all]
    #[arg(long, value_delimiter = ',', value_name = "N,N,…")]
    pub layers: Option<Vec<usize>>,
    /// Directory of the student's tokenizer [default: that of --init]
    #[arg(long, value_name = "DIR")]
    pub tokenizer: Option<PathBuf>,
    /// Rows of the store, where it was written with --no-text
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Run directory; the result is in OUT/model
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace what is in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Softens both models' logits in the soft loss [default: 2]
    #[arg(long)]
    pub temperature: Option<f64>,
    /// Weight of cross-entropy with the labels [default: 0.5]
    #[arg(long)]
    pub hard_weight: Option<f64>,
    /// Weight of the divergence from the teacher; 0: no teacher [default: 0.5]
    #[arg(long)]
    pub soft_weight: Option<f64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub training: Training,
    #[command(flatten)]
    pub common: Common,
}

/// `distill report`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The first model named `teacher` is the teacher, the first named `student` the student, the first
named `baseline` the student without a teacher; else the order is teacher, student, others.

Examples:
  distill report --model teacher=runs/teacher/model --model student=runs/student/model \\
                 --data test.jsonl --out runs/report --gate 'kept.accuracy >= 0.97'
  distill report --predictions teacher=a.parquet --predictions student=b.jsonl --out runs/report")]
pub struct Report {
    /// A classifier to run: DIR or NAME=DIR; repeatable
    #[arg(long, value_name = "[NAME=]DIR")]
    pub model: Vec<String>,
    /// A logits table to read, Parquet or JSONL: FILE or NAME=FILE; repeatable; no model is run
    #[arg(long, value_name = "[NAME=]FILE")]
    pub predictions: Vec<String>,
    /// Held-out labelled rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// Directory of report.json and report.md
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Replace what is in OUT
    #[arg(long)]
    pub overwrite: bool,
    /// A condition that the student must meet, such as 'kept.accuracy >= 0.97'; repeatable
    #[arg(long, value_name = "CONDITION")]
    pub gate: Vec<String>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}

/// `distill predict`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill predict --model runs/student/model --data rows.csv --out predictions.parquet
  distill predict --model runs/student/model --data rows.jsonl --out predictions.jsonl")]
pub struct Predict {
    /// The classifier
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// Rows
    #[arg(long, value_name = "SRC")]
    pub data: Option<PathBuf>,
    /// File to write: .parquet, .jsonl or .csv
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Replace OUT
    #[arg(long)]
    pub overwrite: bool,
    /// Tokens of a batch at most [default: 2048 on a CPU, 32768 on a GPU]
    #[arg(long, value_name = "TOKENS")]
    pub batch_tokens: Option<u64>,
    #[command(flatten)]
    pub rows: Rows,
    #[command(flatten)]
    pub common: Common,
}

/// `distill run`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill run pipelines/trec.toml
  distill run pipelines/trec.toml --seed 2 --set student.epochs=3 --set out=runs/trec-2
  distill run pipelines/trec.toml --dry-run")]
pub struct Run {
    /// TOML file with a table a stage
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,
    /// Directory of all stages [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Run every stage again, also those whose result is there
    #[arg(long)]
    pub overwrite: bool,
    #[command(flatten)]
    pub common: Common,
}

/// `distill doctor`
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  distill doctor
  distill doctor --device cuda --json")]
pub struct Doctor {
    #[command(flatten)]
    pub common: Common,
}

/// A time with its unit: `90s`, `45m`, `2h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a number with s, m or h, such as 45m".to_owned()),
    };
    match number.parse::<f64>() {
        Ok(number) if (0.0..=1e6).contains(&number) => Ok(Duration::from_secs_f64(number * seconds)),
        _ => Err(format!("{number:?} is not a number of {unit}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("1.5m").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
        for bad in ["", "5", "m", "-1s", "5d", "é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
