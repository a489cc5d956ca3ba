//! Encoders and heads under Hugging Face's names.
//!
//! Read in this order: [`backbones`] (one short file an architecture, next to its paper), [`architecture`] (what
//! such a file says), `parts` (what it puts together), [`Model`] (backbone and head as one), [`inputs`] (a
//! packed batch on a device), [`recorder`] (what happens inside a pass), [`parameters`] (where weights come
//! from and how their names, shapes and kinds are checked), [`config`], [`directory`] (what lies on disk),
//! [`student`] (a smaller model from a larger one), [`stored`] (what weights are by their headers), [`inspect`], [`neighbours`] (words that are alike), [`masked`]
//! (words that may stand at a place).

pub mod architecture;
pub mod backbones;
pub mod config;
pub mod directory;
pub mod error;
mod fields;
pub mod inputs;
pub mod inspect;
mod kinds;
pub mod masked;
mod mode;
mod model;
pub mod neighbours;
pub mod parameters;
mod parts;
mod pass;
pub mod recorder;
pub mod stored;
pub mod student;
pub mod weights;

pub use architecture::Architecture;
pub use config::{ModelConfig, ProblemType};
pub use directory::ModelDirectory;
pub use error::ModelError;
pub use inputs::Inputs;
pub use masked::MaskedLanguageModel;
pub use mode::Mode;
pub use model::Model;
pub use recorder::Recorder;
