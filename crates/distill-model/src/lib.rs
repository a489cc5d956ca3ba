//! Encoders and heads under Hugging Face's names.
//!
//! Read in this order: [`bert`] (one architecture, beside its paper), [`classifier`] (what stands
//! on it), [`inputs`] (a packed batch on a device), [`parameters`] (where weights come from and how
//! their names, shapes and kinds are checked), [`config`], [`directory`] (what lies on disk) and
//! [`student`] (a smaller model from a larger one).

pub mod bert;
pub mod classifier;
pub mod config;
pub mod directory;
pub mod error;
pub mod inputs;
pub mod parameters;
mod parts;
pub mod student;
pub mod weights;

pub use classifier::{Mode, SequenceClassifier};
pub use config::ModelConfig;
pub use directory::ModelDirectory;
pub use error::ModelError;
pub use inputs::Inputs;
