//! What comes out: every figure of a report, as `report.json` holds it. [`data`] has the figures of
//! one data set, [`compared`] what sets its models against each other.

pub mod about;
pub mod compared;
pub mod data;
pub mod finding;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use about::{About, DataInfo, ModelInfo};
pub use compared::{
    AgainstBaseline, AgainstTeacher, Comparison, Difference, ErrorRow, Errors, GrownConfusion, SeedSummary,
    Slice, Spread,
};
pub use data::{Calibration, ConstantAnswer, DataReport, EntityErrors, Figure, ModelReport};
pub use finding::{Finding, FindingKind};

use crate::gates::GateOutcome;

/// Version of `report.json`; a reader refuses any other.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Name and version of that program.
    pub program: String,
    /// The answer in one word and one sentence.
    pub verdict: Verdict,
    /// What makes the figures mean less than they seem to, the most serious first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What the report is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// How the intervals were made.
    pub intervals: Intervals,
    /// What came of the gates, in the order in which they were given.
    pub gates: Vec<GateOutcome>,
    /// The figures, a data set each.
    pub data: Vec<DataReport>,
    /// How speed and latency were measured, where they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<Timing>,
    /// Training curves, a run each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub training: Vec<TrainingCurves>,
}

/// How the intervals of a report were made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// Bootstrap resamples; 0: there are no intervals.
    pub resamples: usize,
    /// Share of the resamples that an interval covers.
    pub confidence: f64,
    /// Seed of the resamples.
    pub seed: u64,
}

/// How speed and latency were measured: models took turns, each warm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Where the models ran.
    pub device: String,
    /// In which number format.
    pub dtype: String,
    /// Threads on the processor.
    pub threads: usize,
    /// The data set that the timed rows are from.
    pub data: String,
    /// Rounds in which every model was timed once; rows a second are those of the median round.
    pub rounds: usize,
    /// Rows of a round, in batches.
    pub rows: usize,
    /// Rows of all rounds that were timed one by one, for the latency.
    pub single_rows: usize,
}

impl Timing {
    /// A sentence for people.
    pub fn sentence(&self) -> String {
        let Timing { device, dtype, threads, data, rounds, rows, single_rows } = self;
        format!(
            "Timed on {device} ({dtype}, {threads} threads), models in turn: rows a second are the median of {rounds} rounds \
             over {rows} rows of {data}, latency is over {single_rows} rows one by one; intervals reach from the lowest to \
             the highest round; tokenization included."
        )
    }
}

/// The logged steps of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TrainingCurves {
    /// The run's name.
    pub name: String,
    /// By what was logged: points `[step, value]`.
    pub series: BTreeMap<String, Vec<[f64; 2]>>,
}

/// The answer that a report gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Whether the gates passed.
    pub outcome: Outcome,
    /// A sentence for people; serious findings come first in it.
    pub text: String,
    /// True where a finding is serious: then no document says "passed" without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_serious_finding: bool,
}

/// The word in a [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every gate passed, or counts as passed.
    Passed,
    /// A gate failed, or counts as failed.
    Failed,
    /// There was no gate.
    NoGates,
}

impl Report {
    /// True unless a gate failed.
    pub fn gates_passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_SCHEMA=1 cargo test -p distill-report schema` rewrites the committed file.
    #[test]
    fn the_committed_schema_is_the_one_of_this_program() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report.schema.json");
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Report)).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            distill_core::atomic::write(&path, schema.as_bytes()).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap() == schema, "docs/report.schema.json is out of date");
    }
}
