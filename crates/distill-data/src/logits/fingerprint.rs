//! What a row of logits belongs to: teacher, tokenizer, labels, settings and data.

use std::path::Path;

use distill_core::LabelMap;
use distill_task::TaskId;
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// The key of the fingerprint in a Parquet footer.
pub const FINGERPRINT_KEY: &str = "distill.fingerprint";

/// Everything that decides what logits mean. Two files with one fingerprint may be joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Version of the store's format, [`Fingerprint::FORMAT_VERSION`].
    pub format_version: u32,
    /// blake3 of the teacher's weights.
    pub teacher_weights: String,
    /// blake3 of the tokenizer.
    pub tokenizer: String,
    /// The labels in the order of the logits.
    pub label_map: LabelMap,
    /// What the logits mean; left out of files for one class a row.
    #[serde(default, skip_serializing_if = "TaskId::is_default")]
    pub problem_type: TaskId,
    /// Tokens that a text is cut to.
    pub max_length: u32,
    /// The arithmetic of the forward pass: `f32` or `bf16`.
    pub dtype: String,
    /// Hash of the source.
    pub dataset: String,
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
    /// The version that this program writes and reads.
    pub const FORMAT_VERSION: u32 = 1;

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
