//! What does not go together between models, gates and rows: found before any model is loaded.

use distill_core::LabelMap;
use distill_report::gates::baseline::Baselines;
use distill_report::gates::{Gate, Planned, PlannedModel};
use distill_report::{ReportError, ReportSettings};
use distill_task::{LabelShape, TaskId};

use super::measure::OpenModel;
use super::named::Entry;
use super::rows::TestSet;
use crate::error::{Result, RunError};
use crate::inputs;

/// What the models of a report have in common.
pub struct Common {
    /// The label map of all of them.
    pub labels: Option<LabelMap>,
    /// What their logits mean.
    pub problem_type: TaskId,
}

impl Common {
    /// The label map of models that are run.
    ///
    /// # Errors
    /// [`distill_core::LabelError`] where two differ.
    pub fn of(models: &[OpenModel], problem_type: TaskId) -> Result<Self> {
        let labels = |model: &OpenModel| model.directory.config().labels.clone();
        let Some((first, others)) = models.split_first() else {
            return Ok(Common { labels: None, problem_type });
        };
        let own = labels(first);
        for other in others {
            own.must_equal(&first.entry.name, &labels(other), &other.entry.name)?;
        }
        Ok(Common { labels: Some(own), problem_type })
    }

    /// Checks that the labels of a data set are those of the models, and that something can be measured on them.
    ///
    /// # Errors
    /// [`distill_data::DataError`] with file, row and field; bad data where no row has a label, or all have the same.
    pub fn check_rows(&self, set: &TestSet) -> Result<()> {
        let (summary, name) = (&set.summary, set.source.path().display());
        if let Some(labels) = &self.labels {
            inputs::check_fit(&set.source, summary, labels)?;
        }
        if summary.unlabelled == summary.rows {
            let column = set.source.columns().label_name();
            return Err(RunError::data(format!(
                "{name}: none of the {} rows has a label in column {column:?}, so there is nothing to measure",
                summary.rows
            )));
        }
        if self.problem_type.label_shape() == LabelShape::Class
            && let (1, Some(label)) = (summary.label_counts.len(), summary.label_counts.keys().next())
        {
            return Err(RunError::data(format!(
                "{name}: every label is {label}, but a report needs at least two classes"
            )));
        }
        Ok(())
    }
}

/// The gates of a report's settings.
///
/// # Errors
/// [`ReportError::Gate`] for the first that cannot be read.
pub fn gates(settings: &ReportSettings) -> Result<Vec<Gate>, ReportError> {
    settings.gates.iter().map(|gate| Gate::parse(gate).map_err(ReportError::from)).collect()
}

/// Checks each gate against the data sets that it is about, and their models.
///
/// # Errors
/// [`ReportError::Gate`] for the first that the report could not decide.
pub fn check_gates(
    gates: &[Gate],
    sets: &[(String, Planned)],
    baselines: &Baselines,
) -> Result<(), ReportError> {
    gates.iter().try_for_each(|gate| check_gate(gate, sets, baselines))
}

/// Checks one gate.
///
/// # Errors
/// As [`check_gates`].
pub fn check_gate(gate: &Gate, sets: &[(String, Planned)], baselines: &Baselines) -> Result<(), ReportError> {
    let is_meant = |set: &str| gate.data.as_deref().is_none_or(|data| data == set);
    let is_known = sets.iter().any(|(set, _)| is_meant(set));
    // Of a name that there is not, each knows those that there are.
    let mut meant = sets.iter().filter(|(set, _)| is_meant(set) || !is_known);
    Ok(meant.try_for_each(|(_, planned)| planned.check(gate, baselines))?)
}

/// The models of a report that is still to be made.
pub fn planned_models(entries: &[Entry]) -> Vec<PlannedModel> {
    let one = |entry: &Entry| PlannedModel {
        name: entry.name.clone(),
        seeds_of: entry.seeds_of.clone(),
        role: entry.role,
    };
    entries.iter().map(one).collect()
}
