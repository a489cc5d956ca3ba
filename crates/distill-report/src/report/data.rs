//! One data set: its rows, and each model's figures on them.

use std::collections::BTreeMap;

use distill_task::TaskId;
use distill_task::tags::Mistakes;
use serde::{Deserialize, Serialize};

use super::compared::{AgainstBaseline, AgainstTeacher, Comparison, Difference, Errors, SeedSummary, Slice};
use crate::kinds;
use crate::metrics::calibration::Bin;
use crate::metrics::ranking::Curves;
use crate::metrics::{ClassFigures, Confusion, Metric};
use crate::predictions::{Cost, Role, Round};

/// All models on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DataReport {
    /// The data set's name.
    pub name: String,
    /// What a row's label is; left out for one class a row.
    #[serde(default, skip_serializing_if = "TaskId::is_default")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub problem_type: TaskId,
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
    /// The best answer that is always the same: a model that is no better has learned nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<ConstantAnswer>,
    /// Every model against every later one.
    pub comparisons: Vec<Comparison>,
    /// Models that were given with several seeds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<SeedSummary>,
    /// Parts of the rows, the ones where the first student is weakest first.
    pub slices: Vec<Slice>,
    /// What each student got wrong.
    pub errors: Vec<Errors>,
}

/// One model on one data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelReport {
    /// The model's name.
    pub name: String,
    /// The part it plays.
    pub role: Role,
    /// What it costs, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// The rounds that its speed was measured in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// Its metrics. One that is undefined on these rows is left out.
    pub metrics: BTreeMap<Metric, Figure>,
    /// Compared with the teacher; none for the teacher and where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_teacher: Option<AgainstTeacher>,
    /// By how much it is better than the best answer that is always the same, for the metrics that say most; negative
    /// where it is worse.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub over_constant: BTreeMap<Metric, Difference>,
    /// Compared with the same student trained without a teacher; none for the teacher, and where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against_baseline: Option<AgainstBaseline>,
    /// Whether it is as sure as it is right, where rows have one class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// ROC and precision-recall curve; of all classes together with more than two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curves: Option<Curves>,
    /// Figures of each class, in the order of the label map; empty where rows have numbers. Where words have tags: of
    /// each entity type by name, counted in entities; of each plain tag, counted in words.
    pub classes: Vec<ClassFigures>,
    /// What kind of errors its entities are, where tags write entities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_errors: Option<EntityErrors>,
    /// Counts: a list a label, in it a count a prediction, where rows have one class and there are at most 100 labels.
    /// `[C, C]`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<u64>>,
    /// The same of more labels: `[label, prediction, rows]` of the pairs that occur, by label, then by prediction; of
    /// more than 100,000 pairs the most frequent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confusion_pairs: Vec<[u64; 3]>,
    /// Some labels with the model's values, `[label, value]`, where rows have numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scatter: Vec<[f64; 2]>,
}

/// The best answer that is always the same, on these rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConstantAnswer {
    /// The labels that are always predicted: the most frequent one, or of several classes a row those with the highest
    /// micro F1; empty where rows have numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The value that is always given, the mean, where rows have numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// Metrics of this answer.
    pub metrics: BTreeMap<Metric, Figure>,
}

impl ConstantAnswer {
    /// In a sentence: `"HUM"`.
    pub fn words(&self) -> String {
        const SHOWN: usize = 3;
        if let Some(value) = self.value {
            return format!("the mean, {value:.4}");
        }
        let shown = self.labels.iter().take(SHOWN).map(|label| format!("\"{label}\""));
        let more = self.labels.len().saturating_sub(SHOWN);
        let more = (more > 0).then(|| format!("{more} more"));
        shown.chain(more).collect::<Vec<_>>().join(", ")
    }

    /// As a row of a table of models.
    pub fn as_model(&self) -> ModelReport {
        ModelReport { metrics: self.metrics.clone(), ..ModelReport::new(format!("always {}", self.words())) }
    }
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The value on these rows.
    pub value: f64,
    /// Its confidence interval, low and high; none where no resamples were drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// Entities by what came of them. An entity of the labels is paired with at most one that was found: with the one of the
/// same words, else with the one of its type that has most words in common, else with any that has words in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EntityErrors {
    /// Right words, right type.
    pub correct: u64,
    /// Right words, wrong type.
    pub wrong_type: u64,
    /// Right type, some of the words.
    pub wrong_boundary: u64,
    /// Wrong type, some of the words.
    pub wrong_both: u64,
    /// In the labels only.
    pub missed: u64,
    /// In the predictions only.
    pub spurious: u64,
}

impl From<Mistakes> for EntityErrors {
    fn from(mistakes: Mistakes) -> Self {
        let Mistakes { correct, wrong_type, wrong_boundary, wrong_both, missed, spurious } = mistakes;
        EntityErrors { correct, wrong_type, wrong_boundary, wrong_both, missed, spurious }
    }
}

/// Reliability of a model's confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The temperature that fits these rows best: above 1 the model is too sure of itself.
    pub temperature: f64,
    /// 15 bins of equal width over the confidence.
    pub bins: Vec<Bin>,
}

impl DataReport {
    /// The model of a name.
    pub fn model(&self, name: &str) -> Option<&ModelReport> {
        self.models.iter().find(|model| model.name == name)
    }

    /// The metrics that say most.
    pub fn headlines(&self) -> [Metric; 2] {
        kinds::of(self.problem_type).headlines(self.has_entities())
    }

    /// What the classes of its models count.
    pub fn counted(&self) -> &'static str {
        kinds::of(self.problem_type).counted(self.has_entities())
    }

    fn has_entities(&self) -> bool {
        self.models.iter().any(|model| model.entity_errors.is_some())
    }

    /// What the slices hold.
    pub fn slice_metric(&self) -> Metric {
        self.slices.iter().find_map(|slice| slice.metric).unwrap_or(Metric::Accuracy)
    }

    /// The models that are compared with the best answer that is always the same, and that answer.
    pub fn over_constant(&self) -> impl Iterator<Item = (&ModelReport, &ConstantAnswer)> {
        let compared = self.models.iter().filter(|model| !model.over_constant.is_empty());
        compared.filter_map(|model| Some((model, self.constant.as_ref()?)))
    }

    /// The first model of a role.
    pub fn with_role(&self, role: Role) -> Option<&ModelReport> {
        self.models.iter().find(|model| model.role == role)
    }
}

/// Labels up to which a report holds the count of every pair of label and prediction.
pub const DENSE_LABELS: usize = 100;
/// Pairs of label and prediction that a report of more labels holds at most.
const PAIRS: usize = 100_000;

impl ModelReport {
    /// A model of which nothing is known yet.
    pub(crate) fn new(name: String) -> Self {
        ModelReport {
            name,
            role: Role::Other,
            cost: None,
            rounds: Vec::new(),
            metrics: BTreeMap::new(),
            against_teacher: None,
            over_constant: BTreeMap::new(),
            against_baseline: None,
            calibration: None,
            curves: None,
            classes: Vec::new(),
            entity_errors: None,
            confusion: Vec::new(),
            confusion_pairs: Vec::new(),
            scatter: Vec::new(),
        }
    }

    /// Keeps counts of label against prediction, in the form that suits the number of labels.
    pub(crate) fn set_confusion(&mut self, confusion: &Confusion) {
        if self.classes.len() <= DENSE_LABELS {
            self.confusion = confusion.rows();
            return;
        }
        let mut pairs: Vec<[u64; 3]> =
            confusion.cells().map(|(label, predicted, rows)| [label as u64, predicted as u64, rows]).collect();
        if pairs.len() > PAIRS {
            pairs.sort_by_key(|[label, predicted, rows]| (std::cmp::Reverse(*rows), *label, *predicted));
            pairs.truncate(PAIRS);
            pairs.sort_unstable();
        }
        self.confusion_pairs = pairs;
    }

    /// Label, prediction and rows of the pairs that occur, in whichever form the report holds them.
    pub fn confusions(&self) -> Vec<(usize, usize, u64)> {
        let dense = self.confusion.iter().enumerate().flat_map(|(label, counts)| {
            counts.iter().enumerate().map(move |(predicted, rows)| (label, predicted, *rows))
        });
        let pairs = self
            .confusion_pairs
            .iter()
            .map(|[label, predicted, rows]| (*label as usize, *predicted as usize, *rows));
        dense.filter(|(_, _, rows)| *rows > 0).chain(pairs).collect()
    }

    /// The value of a metric, none where it is undefined.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.metrics.get(&metric).map(|figure| figure.value)
    }
}
