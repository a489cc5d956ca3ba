//! What comes out: every figure of a report, as `report.json` holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::gates::GateOutcome;
use crate::metrics::{ClassFigures, Metric};
use crate::predictions::{Cost, Role};

/// Version of `report.json`; a reader refuses any other.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Name and version of that program.
    pub program: String,
    /// The answer in one word and one sentence.
    pub verdict: Verdict,
    /// What came of the gates, in the order in which they were given.
    pub gates: Vec<GateOutcome>,
    /// The figures, a data set each.
    pub data: Vec<DataReport>,
}

/// The answer that a report gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// Whether the gates passed.
    pub outcome: Outcome,
    /// A sentence for people.
    pub text: String,
}

/// The word in a [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every gate passed.
    Passed,
    /// A gate failed.
    Failed,
    /// There was no gate.
    NoGates,
}

/// All models on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataReport {
    /// The data set's name.
    pub name: String,
    /// Rows, labelled or not.
    pub rows: usize,
    /// Rows with a label.
    pub labelled: usize,
    /// blake3 over ids and labels in row order: two reports with the same hash are about the same rows.
    pub rows_hash: String,
    /// Label names in the order of their ids.
    pub labels: Vec<String>,
    /// The models, in the order in which they were given.
    pub models: Vec<ModelReport>,
}

/// One model on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelReport {
    /// The model's name.
    pub name: String,
    /// The part it plays.
    pub role: Role,
    /// What it costs, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Its metrics. One that is undefined on these rows is left out.
    pub metrics: BTreeMap<Metric, Figure>,
    /// Beside the teacher; none for the teacher and where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_teacher: Option<AgainstTeacher>,
    /// Figures of each class, in the order of the label map.
    pub classes: Vec<ClassFigures>,
    /// Counts: a list a label, in it a count a prediction. `[C, C]`
    pub confusion: Vec<Vec<u64>>,
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The value on these rows.
    pub value: f64,
}

/// A model beside the teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgainstTeacher {
    /// The teacher's name.
    pub teacher: String,
    /// The model's figure divided by the teacher's, by metric; left out where the teacher's is 0.
    pub kept: BTreeMap<Metric, f64>,
    /// Share of the way from the baseline to the teacher, by metric; empty without a baseline.
    pub gap_closed: BTreeMap<Metric, f64>,
    /// The model's rows a second divided by the teacher's, where both were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_up: Option<f64>,
}

impl Report {
    /// True unless a gate failed.
    pub fn gates_passed(&self) -> bool {
        self.gates.iter().all(|gate| gate.passed)
    }
}

impl DataReport {
    /// The first model of a role.
    pub fn with_role(&self, role: Role) -> Option<&ModelReport> {
        self.models.iter().find(|model| model.role == role)
    }
}

impl ModelReport {
    /// The value of a metric, none where it is undefined.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.metrics.get(&metric).map(|figure| figure.value)
    }
}
