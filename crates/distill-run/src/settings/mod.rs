//! The settings of a run: every setting with its default ([`schema`]; `stage_tables` reads those of stages that train), and held-out rows, one file or several
//! ([`test_sets`]), which task a name means (`task`). Reading files, variables and flags is left to the command.

mod delimiter;
pub mod pretrain;
pub mod schema;
mod stage_tables;
mod task;
pub mod test_sets;

pub use schema::{DataSettings, RuntimeSettings, Settings, Targets, Validation};
pub use task::TaskName;
pub use test_sets::TestSets;
