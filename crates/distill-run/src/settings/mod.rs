//! The settings of a run: every setting with its default ([`schema`]), and held-out rows, one file or several
//! ([`test_sets`]). Reading files, variables and flags is left to the command.

mod delimiter;
pub mod schema;
pub mod test_sets;

pub use schema::{DataSettings, RuntimeSettings, Settings, Targets, Validation};
pub use test_sets::TestSets;
