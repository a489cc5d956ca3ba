//! Figures of one model on one data set: [`name`] (what exists, and which way is better),
//! [`confusion`] (counts), [`classification`] (what follows from the counts),
//! [`against`] (a student beside its teacher).

pub mod against;
pub mod classification;
pub mod confusion;
pub mod name;

pub use classification::{ClassFigures, class_figures};
pub use confusion::Confusion;
pub use name::Metric;
