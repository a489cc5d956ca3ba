//! What comes out: every figure of a report, as `report.json` holds it. [`data`] has the figures of
//! one data set, [`compared`] what sets its models against each other.

pub mod compared;
pub mod data;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use compared::{
    AgainstTeacher, Comparison, Difference, ErrorRow, Errors, GrownConfusion, SeedSummary, Slice, Spread,
};
pub use data::{Calibration, DataReport, Figure, ModelReport};

use crate::gates::GateOutcome;

/// Version of `report.json`; a reader refuses any other.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Name and version of that program.
    pub program: String,
    /// The answer in one word and one sentence.
    pub verdict: Verdict,
    /// How the intervals were made.
    pub intervals: Intervals,
    /// What came of the gates, in the order in which they were given.
    pub gates: Vec<GateOutcome>,
    /// The figures, a data set each.
    pub data: Vec<DataReport>,
    /// Training curves, a run each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub training: Vec<TrainingCurves>,
}

/// How the intervals of a report were made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intervals {
    /// Bootstrap resamples; 0: there are no intervals.
    pub resamples: usize,
    /// Share of the resamples that an interval covers.
    pub confidence: f64,
    /// Seed of the resamples.
    pub seed: u64,
}

/// The logged steps of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingCurves {
    /// The run's name.
    pub name: String,
    /// By what was logged: points `[step, value]`.
    pub series: BTreeMap<String, Vec<[f64; 2]>>,
}

/// The answer that a report gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Whether the gates passed.
    pub outcome: Outcome,
    /// A sentence for people.
    pub text: String,
}

/// The word in a [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// The JSON Schema of `report.json`, as it stands in `docs/report.schema.json`.
    ///
    /// # Errors
    /// Those of the JSON writer, which would be a defect.
    pub fn json_schema() -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Report))?;
        text.push('\n');
        Ok(text)
    }

    /// True unless a gate failed.
    pub fn gates_passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.passed)
    }
}
