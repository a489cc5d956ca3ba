//! What the best epoch is chosen by.

pub use distill_task::SelectionMetric as Metric;
