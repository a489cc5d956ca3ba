//! What does not go together between models, gates and rows: found before any model is loaded.

use anyhow::bail;
use distill_core::LabelMap;
use distill_report::gates::baseline::Baselines;
use distill_report::gates::{Gate, Planned, PlannedModel};
use distill_report::{ReportError, ReportSettings};
use distill_task::{LabelShape, TaskId};

use super::named::Entry;
use super::rows::TestSet;
use crate::error::Failure;
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
    /// [`distill_core::LabelError`] where two differ; those of opening a model.
    pub fn of(entries: &[Entry], problem_type: TaskId) -> anyhow::Result<Self> {
        let mut first: Option<(&str, LabelMap)> = None;
        for entry in entries {
            let labels = inputs::model(&entry.path)?.config().labels.clone();
            match &first {
                None => first = Some((&entry.name, labels)),
                Some((name, own)) => own.must_equal(name, &labels, &entry.name)?,
            }
        }
        Ok(Common { labels: first.map(|(_, labels)| labels), problem_type })
    }

    /// Checks that the labels of a data set are those of the models, and that something can be measured on them.
    ///
    /// # Errors
    /// [`distill_data::DataError`] with file, row and field; bad data where no row has a label, or all have the same.
    pub fn check_rows(&self, set: &TestSet) -> anyhow::Result<()> {
        let (summary, name) = (&set.summary, set.source.path().display());
        if let Some(labels) = &self.labels {
            inputs::check_fit(&set.source, summary, labels)?;
        }
        if summary.unlabelled == summary.rows {
            let column = set.source.columns().label_name();
            bail!(Failure::data(format!(
                "{name}: none of the {} rows has a label in column {column:?}, so there is nothing to measure",
                summary.rows
            )));
        }
        if self.problem_type.label_shape() == LabelShape::Class
            && let (1, Some(label)) = (summary.label_counts.len(), summary.label_counts.keys().next())
        {
            bail!(Failure::data(format!(
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
