//! Earlier reports that gates compare with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_core::read::bounded;
use serde::Deserialize;

use super::{Gate, GateError, Quantity};
use crate::error::ReportError;
use crate::predictions::Role;
use crate::report::{DataReport, ModelReport, Report, SCHEMA_VERSION};

/// A report lists some rows, never all: 10,000 labels, five seeds of three models and 100,000 wrong rows take 75 MB a
/// data set.
const MAX_BYTES: u64 = 1 << 30;

/// Earlier reports by the path that a gate names.
pub type Baselines = BTreeMap<String, Report>;

/// Reads every report that a gate compares with.
///
/// # Errors
/// Those of [`read`].
pub fn read_all(gates: &[Gate]) -> Result<Baselines, ReportError> {
    let regressions = gates.iter().filter(|gate| matches!(gate.quantity, Quantity::Regression(_)));
    let mut baselines = Baselines::new();
    for path in regressions.filter_map(|gate| gate.against.as_ref()) {
        if !baselines.contains_key(path) {
            baselines.insert(path.clone(), read(Path::new(path))?);
        }
    }
    Ok(baselines)
}

/// Reads a `report.json`.
///
/// # Errors
/// [`ReportError::File`] where the file cannot be read, [`ReportError::NotAReport`] where it is not
/// a report or has another schema version.
pub fn read(path: &Path) -> Result<Report, ReportError> {
    let bytes = bounded(path, MAX_BYTES)?;
    let not_a_report = |problem: String| ReportError::NotAReport { path: PathBuf::from(path), problem };
    let versioned: Versioned =
        serde_json::from_slice(&bytes).map_err(|error| not_a_report(format!("it is not a report: {error}")))?;
    if versioned.schema_version != SCHEMA_VERSION {
        let version = versioned.schema_version;
        let problem =
            format!("it is a report of schema version {version}; this program reads version {SCHEMA_VERSION}");
        return Err(not_a_report(problem));
    }
    serde_json::from_slice(&bytes).map_err(|error| not_a_report(format!("it is not a whole report: {error}")))
}

/// What every version of a report has.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

/// The same model on the same data set in the earlier report: of the same name, else its student.
///
/// # Errors
/// [`GateError::Missing`] where there is none or where it was measured on other rows.
pub fn counterpart<'a>(
    gate: &Gate,
    baselines: &'a Baselines,
    set: &DataReport,
    model: &ModelReport,
) -> Result<&'a ModelReport, GateError> {
    let missing = |problem: String| GateError::Missing { gate: gate.text.clone(), problem };
    let path = gate.against.as_deref().unwrap_or_default();
    let report = baselines.get(path).ok_or_else(|| missing(format!("{path} was not read")))?;
    let earlier = report
        .data
        .iter()
        .find(|earlier| earlier.name == set.name)
        .ok_or_else(|| missing(format!("{path} has no data set {:?}", set.name)))?;
    if earlier.rows_hash != set.rows_hash {
        return Err(missing(format!("{path} was measured on other rows of {:?}", set.name)));
    }
    earlier
        .model(&model.name)
        .or_else(|| earlier.with_role(Role::Student))
        .ok_or_else(|| missing(format!("{path} has neither a model {:?} nor a student", model.name)))
}
