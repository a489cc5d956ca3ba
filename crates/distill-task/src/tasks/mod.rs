//! A file for each task.

mod masked_language_modeling;
mod multi_label;
mod question_answering;
mod regression;
mod single_label;
mod token_classification;

pub use masked_language_modeling::MaskedLanguageModeling;
pub use multi_label::MultiLabel;
pub use question_answering::QuestionAnswering;
pub use regression::Regression;
pub use single_label::SingleLabel;
pub use token_classification::TokenClassification;
