//! Models against each other: the teacher, seeds, parts of the rows, single rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::data::Figure;
use crate::metrics::Metric;
use crate::stats::McNemar;

/// A model compared with the teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgainstTeacher {
    /// The teacher's name.
    pub teacher: String,
    /// The model's figure divided by the teacher's, by metric; left out where the teacher's is 0.
    pub kept: BTreeMap<Metric, Figure>,
    /// Share of the way from the baseline to the teacher, by metric; only of metrics by which the teacher is shown to be
    /// better than the baseline, and empty without a baseline.
    pub gap_closed: BTreeMap<Metric, Figure>,
    /// Metrics by which the teacher is not shown to be better than the baseline: there is no gap to close.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_gap: Vec<Metric>,
    /// The model's rows a second divided by the teacher's, where both were measured; of several rounds the median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_up: Option<f64>,
    /// The same in the slowest and in the fastest round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_up_interval: Option<[f64; 2]>,
}

/// A model compared with the same student trained without a teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgainstBaseline {
    /// The baseline's name; of several seeds the one with the model's number.
    pub baseline: String,
    /// By how much the model is better, in the metric's own unit; negative where it is worse.
    pub gain: BTreeMap<Metric, Difference>,
}

/// Two models on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The first model.
    pub first: String,
    /// The second model.
    pub second: String,
    /// First minus second, by metric.
    pub differences: BTreeMap<Metric, Difference>,
    /// Whether they err on different rows; none where rows have numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcnemar: Option<McNemar>,
}

/// A difference between two models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// First minus second.
    pub value: f64,
    /// Its confidence interval from paired resamples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// True where the interval excludes zero: only then it is called a difference.
    pub is_shown: bool,
}

/// Several seeds of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SeedSummary {
    /// What the seeds are of.
    pub name: String,
    /// The models' names.
    pub models: Vec<String>,
    /// By metric, over the models that have it.
    pub metrics: BTreeMap<Metric, Spread>,
}

/// Mean and spread over several seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation (over n − 1); 0 with one seed.
    pub std: f64,
    /// Interval of the mean over seeds of this kind, by Student's t; none with one seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
}

/// A part of the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// What the rows were cut by: `label`, `length`, `teacher confidence` or a column.
    pub by: String,
    /// What these rows have in common.
    pub value: String,
    /// Labelled rows.
    pub rows: usize,
    /// What `accuracies` holds where it is not the accuracy: of several classes a row the share of rows whose classes
    /// are all right, of numbers the mean absolute error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// Accuracy of every model, in the models' order, with Wilson intervals; or `metric`.
    pub accuracies: Vec<Figure>,
}

impl Slice {
    /// What slices are sorted by, the weakest lowest: the end of a model's interval that is good for it. Few rows then
    /// come first only where they are weak beyond chance.
    pub fn weakness(&self, model: usize) -> Option<f64> {
        let Figure { value, interval } = *self.accuracies.get(model)?;
        let [low, high] = interval.unwrap_or([value; 2]);
        Some(if self.metric.unwrap_or(Metric::Accuracy).higher_is_better() { high } else { -low })
    }
}

/// What a student got wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// The student.
    pub model: String,
    /// Rows that the teacher has right and the student wrong; of numbers those where the student is further off.
    pub lost: u64,
    /// Rows that the student has right and the teacher wrong; of numbers those where the teacher is further off.
    pub won: u64,
    /// The lost rows of which the student is most sure; of numbers those with most more error than the teacher's.
    pub lost_rows: Vec<ErrorRow>,
    /// Confusions that are more frequent than with the teacher, the most grown first.
    pub grown_confusions: Vec<GrownConfusion>,
    /// Rows where teacher and student agree against the label, the surest first: likely label errors.
    pub label_errors: Vec<ErrorRow>,
}

/// A row that deserves a look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ErrorRow {
    /// The row's id.
    pub id: String,
    /// The beginning of its text, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its label.
    pub label: String,
    /// What the student predicts.
    pub predicted: String,
    /// The probability that the student gives to that; none where rows have numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// The probability that the teacher gives to its own prediction; none where rows have numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher_confidence: Option<f64>,
}

/// A confusion that the student makes more often than the teacher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GrownConfusion {
    /// The label.
    pub label: String,
    /// What was predicted instead.
    pub predicted: String,
    /// Rows with the teacher.
    pub teacher: u64,
    /// Rows with the student.
    pub student: u64,
}
