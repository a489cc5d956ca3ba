//! What a report can be asked for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::ReportError;

/// What becomes of a gate `with confidence` whose interval holds the threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undecided {
    /// It counts as failed: what was not shown is not claimed.
    #[default]
    Fail,
    /// It counts as passed: only what was shown to be too bad stops a build.
    Pass,
}

/// What every report can cut its rows by, whatever columns the data has.
pub const BUILT_IN_SLICES: [&str; 3] = ["label", "length", "teacher_confidence"];

/// Settings of a report: the `[report]` table of a pipeline file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportSettings {
    /// Quality gates, one condition each, such as `kept.accuracy >= 0.97`. Default: none.
    pub gates: Vec<String>,
    /// Whether an undecided gate counts as failed (`fail`, the default) or as passed (`pass`).
    pub undecided: Undecided,
    /// Bootstrap resamples behind every interval; 0 for none. Default: 10000.
    pub resamples: usize,
    /// Share of the resamples that an interval covers. Default: 0.95.
    pub confidence: f64,
    /// Seed of the resamples. Default: 0.
    pub seed: u64,
    /// What the rows are cut by: `label`, `length`, `teacher_confidence`, or a column of the data.
    /// Default: the first three.
    pub slices: Vec<String>,
    /// Labelled rows below which a slice is not listed. Default: 5.
    pub slice_min_rows: usize,
    /// Rows in each list of slices, errors and confusions. Default: 20.
    pub listed: usize,
    /// Measure speed and latency where models are run. Default: true.
    pub timing: bool,
    /// Label names in the order of the logits, for tables that do not carry them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// File for the gates as JUnit XML; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub junit: Option<PathBuf>,
}

impl Default for ReportSettings {
    fn default() -> Self {
        ReportSettings {
            gates: Vec::new(),
            undecided: Undecided::Fail,
            resamples: 10_000,
            confidence: 0.95,
            seed: 0,
            slices: BUILT_IN_SLICES.map(str::to_owned).to_vec(),
            slice_min_rows: 5,
            listed: 20,
            timing: true,
            labels: Vec::new(),
            junit: None,
        }
    }
}

impl ReportSettings {
    /// The columns of the data that slices need.
    pub fn slice_columns(&self) -> impl Iterator<Item = &str> {
        self.slices.iter().map(String::as_str).filter(|name| !BUILT_IN_SLICES.contains(name))
    }

    /// Checks that every number is one that means something.
    ///
    /// # Errors
    /// [`ReportError::Setting`] naming the first that does not.
    pub fn check(&self) -> Result<(), ReportError> {
        let wrong = |name, problem: String| Err(ReportError::Setting { name, problem });
        if self.resamples != 0 && !(100..=1_000_000).contains(&self.resamples) {
            return wrong("resamples", format!("is {}; it is 0 or from 100 to 1000000", self.resamples));
        }
        if !(0.5..=0.9999).contains(&self.confidence) {
            return wrong("confidence", format!("is {}; it is a share from 0.5 to 0.9999", self.confidence));
        }
        if let Some(at) = (1..self.slices.len()).find(|at| self.slices[..*at].contains(&self.slices[*at])) {
            return wrong("slices", format!("has {:?} twice", self.slices[at]));
        }
        if self.slice_min_rows == 0 {
            return wrong("slice_min_rows", "is 0; a slice has at least one row".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_mean_nothing_are_refused_by_name() {
        let settings = ReportSettings { confidence: 95.0, ..ReportSettings::default() };
        let error = settings.check().unwrap_err();
        assert!(error.to_string().contains("confidence is 95"), "{error}");
        assert_eq!(error.category().exit_code(), 2);
        let settings = ReportSettings { resamples: 7, ..ReportSettings::default() };
        assert!(settings.check().is_err());
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(serde_json::from_str::<ReportSettings>(r#"{"gate": []}"#).is_err());
        assert_eq!(serde_json::from_str::<ReportSettings>("{}").unwrap(), ReportSettings::default());
    }
}
