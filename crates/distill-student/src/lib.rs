//! The trainer. Fine-tuning, distillation and a student without a teacher are one loop with
//! other settings.
//!
//! Read in this order: [`settings`], [`loss`] (the formula), [`schedule`] (the learning rate),
//! [`data`] (rows, labels and soft targets by row), [`trainer`] (the loop), [`evaluate`] (the
//! validation part), [`vocabulary`] (training the word embeddings that occur), [`metrics`]
//! (`metrics.jsonl`), [`checkpoint`] (stopping and going on).

pub mod checkpoint;
pub mod data;
pub mod error;
pub mod evaluate;
pub mod loss;
pub mod metrics;
pub mod schedule;
pub mod settings;
pub mod trainer;
pub mod vocabulary;
mod window;

pub use data::TrainingData;
pub use error::TrainError;
pub use settings::TrainSettings;
pub use trainer::{Outcome, Trainer};
