//! A file for each task.

mod multi_label;
mod question_answering;
mod regression;
mod single_label;
mod token_classification;

pub use multi_label::MultiLabel;
pub use question_answering::QuestionAnswering;
pub use regression::Regression;
pub use single_label::SingleLabel;
pub use token_classification::TokenClassification;

/// What `--task` calls the three tasks of one prediction a row.
const SEQUENCE_CLASSIFICATION: &str = "sequence_classification";
/// Their class in `transformers`.
const FOR_SEQUENCE_CLASSIFICATION: &str = "ForSequenceClassification";
