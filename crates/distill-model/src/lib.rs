//! Backbones and heads under Hugging Face's names.
//!
//! Read in this order: [`architecture`] (what an architecture and its weights are called), [`Backbone`] and [`Head`] (what
//! a model consists of), [`backbones`] (one short file for each architecture), `heads` (one for each kind of
//! prediction), `parts` (what both are made of), [`Model`] (backbone and head as one), [`inputs`] (a packed batch on a
//! device), [`Tokens`] (the states that a head reads), [`recorder`] (what happens inside a pass), [`parameters`] (where
//! weights come from and how their names, shapes and kinds are checked), [`config`] and `config_file`, [`directory`]
//! (what is on disk), [`student`] (a smaller model from a larger one), `vocabulary` (a model with another vocabulary), `narrow`
//! (narrower word vectors), [`stored`] (what weights are by their headers),
//! [`inspect`], [`neighbours`] (words that are alike), [`masked`] (words that may be at a place).

pub mod architecture;
mod backbone;
pub mod backbones;
pub mod config;
mod config_file;
pub mod directory;
pub mod error;
mod fields;
pub mod heads;
pub mod inputs;
pub mod inspect;
mod kinds;
pub mod masked;
mod mode;
mod model;
mod narrow;
pub mod neighbours;
pub mod parameters;
mod parts;
mod pass;
mod recipe;
pub mod recorder;
pub mod stored;
pub mod student;
mod vocabulary;
pub mod weights;

pub use architecture::{Architecture, HeadKind};
pub use backbone::Backbone;
pub use config::{ModelConfig, TaskId};
pub use directory::ModelDirectory;
pub use error::ModelError;
pub use heads::Head;
pub use inputs::Inputs;
pub use masked::MaskedLanguageModel;
pub use mode::Mode;
pub use model::Model;
pub use pass::{Pass, Queries, Tokens};
pub use recorder::Recorder;
