//! What a row of logits belongs to: teacher, tokenizer, labels, settings and data.

use std::path::Path;

use distill_core::LabelMap;
use distill_task::{Positions, TaskId};
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// The key of the fingerprint in a Parquet footer.
pub const FINGERPRINT_KEY: &str = "distill.fingerprint";

/// Everything that decides what logits mean. Two files with one fingerprint may be joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Fingerprint {
    /// Version of the store's format, [`Fingerprint::version_of`] its task.
    pub format_version: u32,
    /// blake3 of the teacher's weights.
    pub teacher_weights: String,
    /// blake3 of the tokenizer.
    pub tokenizer: String,
    /// The labels in the order of the logits.
    pub label_map: LabelMap,
    /// What the logits mean; left out of files for one class a row.
    pub problem_type: TaskId,
    /// Tokens that a text is cut to.
    pub max_length: u32,
    /// The arithmetic of the forward pass: `f32` or `bf16`.
    pub dtype: String,
    /// Hash of the source.
    pub dataset: String,
}

/// As it stands in files. Row tasks are named by their `problem_type`, as before there were others; others as `task`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format_version: u32,
    teacher_weights: String,
    tokenizer: String,
    label_map: LabelMap,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    problem_type: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<TaskId>,
    max_length: u32,
    dtype: String,
    dataset: String,
}

impl From<Fingerprint> for Written {
    fn from(own: Fingerprint) -> Self {
        let is_ragged = Fingerprint::is_ragged(own.problem_type);
        let Fingerprint {
            format_version,
            teacher_weights,
            tokenizer,
            label_map,
            max_length,
            dtype,
            dataset,
            ..
        } = own;
        Written {
            format_version,
            teacher_weights,
            tokenizer,
            label_map,
            problem_type: Some(own.problem_type).filter(|task| !is_ragged && !task.is_default()),
            task: Some(own.problem_type).filter(|_| is_ragged),
            max_length,
            dtype,
            dataset,
        }
    }
}

impl TryFrom<Written> for Fingerprint {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let problem_type = match (written.problem_type, written.task) {
            (Some(_), Some(_)) => return Err("it has both problem_type and task".to_owned()),
            (named, None) => named.unwrap_or_default(),
            (None, Some(task)) => task,
        };
        let Written {
            format_version, teacher_weights, tokenizer, label_map, max_length, dtype, dataset, ..
        } = written;
        let own = Fingerprint {
            format_version,
            teacher_weights,
            tokenizer,
            label_map,
            problem_type,
            max_length,
            dtype,
            dataset,
        };
        match Fingerprint::version_of(problem_type) {
            version if version == format_version => Ok(own),
            version => Err(format!(
                "format version {format_version}, but this program reads {version} for {problem_type}"
            )),
        }
    }
}

/// The first field in which two fingerprints differ, with both values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The field's name.
    pub field: &'static str,
    /// Its value in the fingerprint that was asked.
    pub ours: String,
    /// Its value in the other.
    pub theirs: String,
}

impl Fingerprint {
    /// The version of files with one prediction a row.
    pub const FORMAT_VERSION: u32 = 1;
    /// The version of files with predictions for several positions of a row.
    pub const RAGGED_VERSION: u32 = 2;

    /// The version that this program writes and reads for a task.
    pub fn version_of(task: TaskId) -> u32 {
        if Self::is_ragged(task) { Self::RAGGED_VERSION } else { Self::FORMAT_VERSION }
    }

    /// Whether a row has any number of predictions.
    pub(super) fn is_ragged(task: TaskId) -> bool {
        task.positions() != Positions::Row
    }

    /// Logits of one prediction, `C`.
    pub fn outputs(&self) -> usize {
        self.problem_type.outputs(&self.label_map)
    }

    /// The first field that differs, or none.
    pub fn first_difference(&self, other: &Fingerprint) -> Option<Difference> {
        let pairs = self.fields().into_iter().zip(other.fields());
        pairs.into_iter().find(|(ours, theirs)| ours.1 != theirs.1).map(|(ours, theirs)| Difference {
            field: ours.0,
            ours: ours.1,
            theirs: theirs.1,
        })
    }

    /// Checks that two things belong together.
    ///
    /// # Errors
    /// [`DataError::Fingerprint`] with the names given, the field and both values.
    pub fn must_equal(&self, name: &str, other: &Fingerprint, other_name: &str) -> Result<(), DataError> {
        match self.first_difference(other) {
            None => Ok(()),
            Some(Difference { field, ours, theirs }) => Err(DataError::Fingerprint {
                left_name: name.to_owned(),
                right_name: other_name.to_owned(),
                field,
                left: ours,
                right: theirs,
            }),
        }
    }

    /// Its fields with their values as text, the label map in full.
    pub fn fields(&self) -> [(&'static str, String); 8] {
        // The whole map, not its shortened display: maps of many labels may differ late.
        let labels = self.label_map.names().iter().enumerate().map(|(id, name)| format!("{id}={name}"));
        [
            ("format_version", self.format_version.to_string()),
            ("teacher_weights", self.teacher_weights.clone()),
            ("tokenizer", self.tokenizer.clone()),
            ("label_map", labels.collect::<Vec<_>>().join(", ")),
            ("problem_type", self.problem_type.to_string()),
            ("max_length", self.max_length.to_string()),
            ("dtype", self.dtype.clone()),
            ("dataset", self.dataset.clone()),
        ]
    }

    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    pub(crate) fn from_json(json: &str, file: &Path) -> Result<Self, DataError> {
        serde_json::from_str(json)
            .map_err(|error| DataError::damaged(file, format!("its fingerprint cannot be read: {error}")))
    }
}
