//! The trainer. Fine-tuning, distillation and a student without a teacher are one loop with
//! other settings.
//!
//! Read in this order: [`settings`], [`loss`] (a file a loss), [`schedule`] (the learning rate), [`data`]
//! (rows, labels and soft targets by row), [`teachers`] (several at once), [`quality`] (whether a teacher has
//! anything to teach), [`sampling`] (the rows of an epoch), [`moving`] (which parameters move), [`steps`] (the optimizer), [`ema`] (a mean of the weights), [`trainer`]
//! (the loop), [`inside`] and [`layer_map`] (the teacher's layers beside the student's), [`features`] (a frozen
//! encoder runs once), [`evaluate`] (the validation part), [`vocabulary`] (training the word embeddings that
//! occur), [`metrics`] (`metrics.jsonl`), [`checkpoint`] (stopping and going on).

pub mod checkpoint;
pub mod data;
pub mod ema;
pub mod error;
pub mod evaluate;
pub mod features;
pub mod inside;
mod labels;
pub mod layer_map;
pub mod loss;
pub mod metrics;
pub mod moving;
pub mod quality;
pub mod sampling;
pub mod schedule;
pub mod settings;
mod sizes;
pub mod steps;
pub mod teachers;
pub mod trainer;
pub mod vocabulary;
mod window;

pub use data::TrainingData;
pub use error::TrainError;
pub use settings::TrainSettings;
pub use trainer::{Outcome, Trainer};
