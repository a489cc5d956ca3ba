//! From logits and labels to evidence: metrics, comparisons, quality gates and documents.
//!
//! Nothing here runs a model or opens a Parquet file: the caller hands over rows as
//! [`Predictions`], whoever computed them. Read in this order: [`predictions`] (what comes in,
//! checked), `kinds` (what there is for each kind of label), [`mod@align`] (the same rows in the same order), [`metrics`], [`stats`] (how sure),
//! [`mod@build`] (measures, compares, cuts slices, lists errors), [`gates`], [`settings`],
//! [`report`] (what comes out), [`documents`] (JSON, Markdown, HTML, terminal, JUnit, GitHub,
//! model card, changes between two reports), [`training`] (curves from `metrics.jsonl`) and [`signs`] (what they say about a
//! teacher).

pub mod align;
pub mod build;
mod cost;
pub mod documents;
pub mod error;
pub mod gates;
mod kinds;
pub mod metrics;
pub mod predictions;
pub mod report;
pub mod settings;
pub mod signs;
pub mod stats;
pub mod training;
mod verdict;

pub use align::align;
pub use build::{DataSet, build};
pub use error::ReportError;
pub use predictions::{AnsweredRow, Cost, Latency, Predictions, Role, Round, TaggedRow};
pub use report::Report;
pub use settings::ReportSettings;
