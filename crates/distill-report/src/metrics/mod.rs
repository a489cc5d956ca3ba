//! Figures of one model on one data set: [`name`] (what exists, and which way is better) with `range` (what is known
//! before anything is measured),
//! [`confusion`] (counts) and [`classification`] (what follows from them), [`scored`] (rows with
//! their probabilities) with [`probability`], [`ranking`] and [`calibration`] (what follows from
//! those), [`influence`] (how much each row moves a metric), [`against`] (a student compared with its teacher); [`multi_label`] and [`regression`] for models that are not
//! single-label classifiers.

pub mod against;
pub mod calibration;
pub mod classification;
pub mod confusion;
pub mod influence;
pub mod multi_label;
pub mod name;
pub mod probability;
mod range;
pub mod ranking;
pub mod regression;
pub mod scored;

pub use classification::{ClassFigures, class_figures};
pub use confusion::{Confusion, Tally};
pub use name::Metric;
pub use scored::Scored;

/// Every metric of labelled rows, in [`Metric`]'s order. One that is undefined on them is left out.
pub fn all(scored: &Scored) -> Vec<(Metric, f64)> {
    let mut metrics = classification::metrics(&scored.confusion().tally());
    metrics.extend(ranking::metrics(scored));
    metrics.extend(probability::metrics(scored));
    metrics.extend(calibration::metrics(scored));
    metrics.sort_by_key(|(metric, _)| *metric);
    metrics
}
