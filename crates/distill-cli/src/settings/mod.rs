//! What the program needs: defaults, then file, then `DISTILL_*`, then command line.
//!
//! Read in this order: [`Settings`] (every setting with its default, in `distill-run`), [`layers`] (how the four
//! sources are put together), [`flags`] (which flag is which setting).

pub mod flags;
pub mod layers;

pub use distill_run::settings::{RuntimeSettings, Settings, TestSets, schema, test_sets};
pub use layers::Layers;
