//! What a report is about: the run, its models and their training, its rows. Two reports can be told apart by it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a report is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The run's name: that of its directory.
    pub run: String,
    /// When the report was made, in UTC: `2026-11-30 19:04`. None without timing, so that the report repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Versions that can change a figure: `distill`, `libtorch`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, String>,
    /// The models, in the order in which they were given.
    pub models: Vec<ModelInfo>,
    /// The data sets.
    pub data: Vec<DataInfo>,
}

/// What a model is and how it was trained, as far as that is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelInfo {
    /// The model's name in the report.
    pub name: String,
    /// Its directory, or the file that its logits were read from.
    pub path: String,
    /// blake3 of its weights, or of that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The architecture: `bert`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Its layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// Width of its hidden states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_size: Option<usize>,
    /// Weights in the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Tokens of a row at most in this report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The command that trained it, where its `run.json` lies next to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_by: Option<String>,
    /// Settings and figures of its training, by name: loss, temperature, weights, epochs, seed, rows, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub training: BTreeMap<String, Value>,
}

/// What a data set is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DataInfo {
    /// Its name in the report.
    pub name: String,
    /// Its file or directory.
    pub path: String,
    /// blake3 of its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl About {
    /// `trec, 2026-11-30 19:04 UTC`.
    pub fn title(&self) -> String {
        let date = self.date.as_ref().map(|date| format!(", {date} UTC")).unwrap_or_default();
        format!("{}{date}", self.run)
    }
}
