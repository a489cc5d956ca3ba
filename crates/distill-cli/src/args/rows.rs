//! Which columns hold what.

use std::path::PathBuf;

use clap::Args as ClapArgs;

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
    /// Column with the label: a name or an id, several of them, or a number; `none`: there are no labels
    /// [default: label, where there is one]
    #[arg(long, value_name = "NAME")]
    pub label_column: Option<String>,
    /// What a row's label is: single_label_classification, multi_label_classification or regression
    /// [default: what the model says, else single_label_classification]
    #[arg(long, value_name = "TYPE",
          value_parser = ["single_label_classification", "multi_label_classification", "regression"])]
    pub problem_type: Option<String>,
    /// What labels are where they could be either: name, id (a whole number), or multi_hot (lists with a 0 or 1 for
    /// each label) [default: what data and model say]
    #[arg(long, value_name = "TYPE", value_parser = ["name", "id", "multi_hot"])]
    pub label_type: Option<String>,
    /// File that names the labels: one name a line in the order of the ids, or JSON: a list of names, ids with their
    /// names, or the data's labels with the model's
    #[arg(long, value_name = "FILE")]
    pub label_map: Option<PathBuf>,
    /// What separates the fields of CSV and TSV: one character, or tab [default: what ending and header say]
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<String>,
    /// Tokens of a row at most, special ones included [default: those of the model or the store; for a model that is
    /// fine-tuned, 128 or the model's own where that is less]
    #[arg(long, value_name = "TOKENS")]
    pub max_length: Option<usize>,
}
