//! The binary's settings, which no library offers: its own files, with the one type that they take from elsewhere.
#![allow(dead_code, missing_docs, unused_imports)]

#[path = "../../crates/distill-run/src/settings/delimiter.rs"]
mod delimiter;
#[path = "../../crates/distill-cli/src/settings/layers.rs"]
pub mod layers;
#[path = "../../crates/distill-run/src/settings/pretrain.rs"]
mod pretrain;
#[path = "../../crates/distill-run/src/settings/schema.rs"]
pub mod schema;
#[path = "../../crates/distill-run/src/settings/stage_tables.rs"]
mod stage_tables;
#[path = "../../crates/distill-run/src/settings/task.rs"]
mod task;
#[path = "../../crates/distill-run/src/settings/test_sets.rs"]
pub mod test_sets;

pub use schema::{DataSettings, Settings};
