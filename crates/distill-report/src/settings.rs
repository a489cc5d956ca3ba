//! What a report can be asked for.

use serde::{Deserialize, Serialize};

/// Settings of a report: the `[report]` table of a pipeline file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportSettings {
    /// Quality gates, one condition each, such as `kept.accuracy >= 0.97`. None by default.
    pub gates: Vec<String>,
}
