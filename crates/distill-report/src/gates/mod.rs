//! Quality gates: conditions that a job obeys. [`parse`] reads one, [`planned`] says whether it fits a report that is
//! still to be made, [`mod@evaluate`] applies it to a report.
//!
//! ```text
//! gate       = [ MODEL ":" ] quantity comparison number { clause }
//!            | [ MODEL ":" ] "regression" [ "." metric ] "vs" FILE { clause }
//! quantity   = metric | "kept." metric | "drop." metric | "gap_closed." metric | "gain." metric
//!            | "precision[LABEL]" | "recall[LABEL]" | "f1[LABEL]"
//!            | "entity_precision[TYPE]" | "entity_recall[TYPE]" | "entity_f1[TYPE]"
//!            | "latency.p50" | "latency.p95" | "latency.p99" | "rows_per_second" | "speed_up"
//!            | "parameters" | "bytes" | "regression" [ "." metric ]
//! comparison = ">=" | "<=" | ">" | "<"
//! clause     = "vs" MODEL | "vs" FILE | "on" DATA | "with confidence"
//! ```
//!
//! A gate is about every model of role student, on every data set, unless it names one.
//! `kept` and `drop` compare with the teacher, `gain` with the student trained without one, or with the model after
//! `vs` (`vs constant`: the best answer that is always the same); `regression` with an
//! earlier `report.json`. With `with confidence` the interval has to lie on the right side as a
//! whole to pass and on the wrong side as a whole to fail; else the gate is undecided.

pub mod baseline;
pub mod evaluate;
pub mod number;
pub mod parse;
pub mod planned;
pub mod quantity;
mod threshold;

use distill_core::Category;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use evaluate::evaluate;
pub use parse::{Comparison, Gate};
pub use planned::{Planned, PlannedModel};
pub use quantity::Quantity;

/// A gate that cannot be read, or that does not fit the models of this report.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GateError {
    /// Not of the form `quantity >= number`.
    #[error("gate {gate:?}: {problem}; write it as `macro_f1 >= 0.90` or `drop.macro_f1 <= 0.01 vs teacher`")]
    Syntax {
        /// The gate as it was given.
        gate: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A number that every value meets, or none.
    #[error("gate {gate:?}: {problem}")]
    Threshold {
        /// The gate as it was given.
        gate: String,
        /// Why it decides nothing.
        problem: String,
    },
    /// A quantity that does not exist.
    #[error("gate {gate:?}: there is no metric {name:?}; did you mean {nearest}?")]
    UnknownMetric {
        /// The gate as it was given.
        gate: String,
        /// The unknown name.
        name: String,
        /// The nearest names there are.
        nearest: String,
    },
    /// A model or a data set that the report does not have.
    #[error("gate {gate:?}: there is no {what} {name:?}; there is {known}")]
    Unknown {
        /// The gate as it was given.
        gate: String,
        /// `model` or `data set`.
        what: &'static str,
        /// The unknown name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// No model plays the part that the gate is about.
    #[error("gate {gate:?}: {problem}")]
    Missing {
        /// The gate as it was given.
        gate: String,
        /// What is missing, and how to say it.
        problem: String,
    },
}

impl GateState {
    /// The word for tables.
    pub fn word(self) -> &'static str {
        match self {
            GateState::Passed => "passed",
            GateState::Failed => "FAILED",
            GateState::Undecided => "undecided",
        }
    }
}

impl GateError {
    /// Always wrong usage: gates are settings.
    pub fn category(&self) -> Category {
        Category::Usage
    }
}

/// What came of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GateState {
    /// The condition holds.
    Passed,
    /// It does not, or its quantity is undefined on these rows.
    Failed,
    /// The interval holds the threshold: more rows would have to decide.
    Undecided,
}

/// One gate applied to one model on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GateOutcome {
    /// The gate as it was given.
    pub gate: String,
    /// The data set.
    pub data: String,
    /// The model it was applied to.
    pub model: String,
    /// What came of it.
    pub state: GateState,
    /// True where the build may go on as far as this gate is concerned.
    pub passed: bool,
    /// The measured value; none where it is undefined, such as a share of nothing.
    pub value: Option<f64>,
    /// Its confidence interval, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// The number in the gate.
    pub threshold: f64,
    /// A sentence for people: `student: kept.accuracy is 0.981, at least 0.97 was asked for`.
    pub text: String,
}
