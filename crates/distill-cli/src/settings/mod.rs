//! What the program needs: defaults, then file, then `DISTILL_*`, then command line.
//!
//! Read in this order: [`schema`] (every setting with its default), [`layers`] (how the four
//! sources are put together), [`flags`] (which flag is which setting), [`test_sets`] (held-out rows, one
//! file or several).

mod delimiter;
pub mod flags;
pub mod layers;
pub mod schema;
pub mod test_sets;

pub use layers::Layers;
pub use schema::{DataSettings, RuntimeSettings, Settings, Targets, Validation};
pub use test_sets::TestSets;
