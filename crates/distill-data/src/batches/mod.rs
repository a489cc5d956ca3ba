//! Which rows are computed together, and how they are packed.
//!
//! `length`: rows of like length for inference; `training`: a seeded shuffle that a resumed run can enter
//! anywhere; `packed`: rows behind one another, without padding.

mod length;
mod packed;
mod training;

pub use length::order_by_length;
pub use packed::{BatchError, PackedBatch};
pub use training::TrainingOrder;
