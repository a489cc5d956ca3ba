//! How rows are read.

use std::path::PathBuf;

use clap::Args as ClapArgs;

/// How rows are read from Parquet, JSONL, CSV or TSV.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Rows")]
pub struct Rows {
    /// Column with the row's id [default: id if it exists, else the row number]
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// Column with the text [default: text]
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// Column with the second text of a pair [default: text_pair if it exists]
    #[arg(long, value_name = "NAME")]
    pub text_pair_column: Option<String>,
    /// Column with the label: a name or id, a list of them, or a number; `none`: the rows have no labels
    /// [default: label if it exists]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// What is predicted: sequence_classification (one of the kinds of --problem-type), or token_classification: a tag
    /// for each word, from columns tokens and tags, CoNLL columns or CoNLL-U [default: what the model or the rows say]
    #[arg(long, value_name = "NAME")]
    pub task: Option<String>,
    /// Kind of label: single_label_classification, multi_label_classification or regression
    /// [default: the model's, else single_label_classification]
    #[arg(long, value_name = "TYPE",
          value_parser = ["single_label_classification", "multi_label_classification", "regression"])]
    pub problem_type: Option<String>,
    /// How to read labels that have several readings: name, id (an integer), or multi_hot (lists with a 0 or 1 per
    /// label) [default: decided from data and model]
    #[arg(long, value_name = "TYPE", value_parser = ["name", "id", "multi_hot"])]
    pub label_type: Option<String>,
    /// File with the names of the labels: one per line in the order of the ids, or JSON: a list of names, an object
    /// from ids to names, or an object from the data's labels to the model's
    #[arg(long, value_name = "FILE")]
    pub label_map: Option<PathBuf>,
    /// Field separator of CSV and TSV: one character, or tab [default: from file extension and header]
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<String>,
    /// Most tokens per row, including special tokens; longer texts are truncated, longer rows of words are cut into windows [default: the model's or the store's; for
    /// finetune 128, or the model's if that is less]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,
}
