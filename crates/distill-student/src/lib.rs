//! The trainer. Fine-tuning, distillation and a student without a teacher are one loop with
//! other settings.
//!
//! Read in this order: [`settings`] (what a user writes), [`plan`] (the same, resolved for one model: what the trainer
//! takes), [`loss`] (a file for each loss), [`schedule`] (the learning rate), [`data`] (rows, labels and soft targets by
//! row; `supervision` and `soft_targets` of words), [`teachers`] (several at once), [`majority_baseline`] (whether a teacher has anything to teach), [`sampling`] (the
//! rows of an epoch), [`param_groups`] (which parameters are trained, and how fast), [`optimizer`], [`ema`] (a mean of the
//! weights), [`trainer`] (the loop), [`intermediate_losses`] and [`layer_map`] (comparisons of the teacher's layers with
//! the student's), [`sequences`] and `masked` (texts as sequences under masks), [`features`] (a frozen encoder runs once), [`evaluate`] and [`selection`] (the validation part, and what
//! the best epoch is chosen by), [`active_vocabulary`] (only the word embeddings that occur are trained), [`metrics`]
//! (`metrics.jsonl`), [`checkpoint`] (stop and resume).

pub mod active_vocabulary;
pub mod checkpoint;
pub mod data;
pub mod ema;
pub mod error;
pub mod evaluate;
pub mod features;
pub mod intermediate_losses;
mod labels;
pub mod layer_map;
pub mod loss;
pub mod majority_baseline;
mod masked;
pub mod metrics;
pub mod optimizer;
pub mod param_groups;
pub mod plan;
mod prepared;
mod running_loss;
pub mod sampling;
pub mod schedule;
pub mod selection;
pub mod sequences;
pub mod settings;
mod soft_targets;
mod split;
mod supervision;
pub mod teachers;
mod term_magnitudes;
#[cfg(test)]
mod token_tests;
pub mod trainer;

pub use data::TrainingData;
pub use error::TrainError;
pub use plan::{ModelFacts, TrainPlan};
pub use settings::TrainSettings;
pub use trainer::{Outcome, Trainer};
