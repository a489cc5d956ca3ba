//! What the program needs: defaults, then file, then `DISTILL_*`, then command line.
//!
//! Read in this order: [`schema`] (every setting with its default), [`layers`] (how the four
//! sources are put together), [`flags`] (which flag is which setting).

pub mod flags;
pub mod layers;
pub mod schema;

pub use layers::Layers;
pub use schema::{DataSettings, RuntimeSettings, Settings, Targets, Validation};
