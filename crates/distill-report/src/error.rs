//! What can be wrong with predictions, gates and output files.

use distill_core::atomic::FileError;
use distill_core::{Category, LabelError, StopReason};
use distill_task::TaskId;
use thiserror::Error;

use crate::gates::GateError;

/// Why a report cannot be made. Rows are counted from 1.
#[derive(Debug, Error)]
pub enum ReportError {
    /// No model was given.
    #[error("there is nothing to report on: no predictions were given")]
    NoModels,
    /// A table without rows.
    #[error("{model}: there are no rows")]
    NoRows {
        /// The model's name.
        model: String,
    },
    /// Columns of unequal length.
    #[error("{model}: {what} has {found} entries where {expected} were expected")]
    Length {
        /// The model's name.
        model: String,
        /// The column.
        what: &'static str,
        /// Its entries.
        found: usize,
        /// Entries that the ids and the label map ask for.
        expected: usize,
    },
    /// A logit that is NaN or infinite.
    #[error("{model}: row {row} (id {id:?}): the logit of {label:?} is {value}")]
    NotFinite {
        /// The model's name.
        model: String,
        /// The row, from 1.
        row: usize,
        /// The row's id.
        id: String,
        /// The label whose logit it is.
        label: String,
        /// The logit.
        value: f32,
    },
    /// The same id on two rows.
    #[error("{model}: rows {first} and {second} have the same id {id:?}")]
    DuplicateId {
        /// The model's name.
        model: String,
        /// The id.
        id: String,
        /// Its first row, from 1.
        first: usize,
        /// Its second row, from 1.
        second: usize,
    },
    /// A label that the label map does not have.
    #[error("{model}: row {row} (id {id:?}): label {label} is not one of 0 to {last}")]
    LabelRange {
        /// The model's name.
        model: String,
        /// The row, from 1.
        row: usize,
        /// The row's id.
        id: String,
        /// The label.
        label: i32,
        /// The largest label id.
        last: usize,
    },
    /// A label of another kind than the model's.
    #[error("{model}: row {row} (id {id:?}): its label is none of {expected}")]
    LabelKind {
        /// The model's name.
        model: String,
        /// The row, from 1.
        row: usize,
        /// The row's id.
        id: String,
        /// What the model's logits mean.
        expected: TaskId,
    },
    /// Tags, logits or answers that do not fit their row.
    #[error("{model}: row {row} (id {id:?}): {problem}")]
    Row {
        /// The model's name.
        model: String,
        /// The row, from 1.
        row: usize,
        /// The row's id.
        id: String,
        /// What does not fit.
        problem: String,
    },
    /// Names of tags that are in no scheme, or in two.
    #[error("{model}: {problem}")]
    Scheme {
        /// The model's name.
        model: String,
        /// What is wrong with them.
        problem: distill_task::tags::SchemeError,
    },
    /// Two models whose logits mean different things.
    #[error("{first} is of {own} and {other} of {theirs}; a data set has one kind of label")]
    ProblemTypes {
        /// The first model.
        first: String,
        /// What its logits mean.
        own: TaskId,
        /// The other model.
        other: String,
        /// What its logits mean.
        theirs: TaskId,
    },
    /// No row has a label.
    #[error("{model}: none of the {rows} rows has a label, so nothing can be measured")]
    Unlabelled {
        /// The model's name.
        model: String,
        /// Rows in the table.
        rows: usize,
    },
    /// Only one class to tell apart.
    #[error("{model}: {what}; a classifier is measured on at least two classes")]
    OneClass {
        /// The model's name.
        model: String,
        /// Whether the map or the rows have only one class, and which.
        what: String,
    },
    /// A cost that cannot be.
    #[error("{model}: {what} is {value}; it must be a finite number above 0")]
    Cost {
        /// The model's name.
        model: String,
        /// The figure.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// Label maps that differ between models.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// Two models that do not cover the same rows.
    #[error(transparent)]
    Rows(Box<OtherRows>),
    /// The same row with another label or text.
    #[error(transparent)]
    RowDiffers(Box<RowDifference>),
    /// Two models or two data sets of one name.
    #[error("two {what} are called {name:?}; give each its own name")]
    DuplicateName {
        /// `models` or `data sets`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// More than one teacher in one report.
    #[error("{first:?} and {second:?} are both called the teacher; a report has at most one")]
    TwoTeachers {
        /// The first.
        first: String,
        /// The second.
        second: String,
    },
    /// A setting that means nothing.
    #[error("report.{name} {problem}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that is not a report this program can read.
    #[error("{}: {problem}", path.display())]
    NotAReport {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A gate that cannot be read or applied.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Asked to stop.
    #[error(transparent)]
    Stopped(#[from] StopReason),
    /// A document that cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The report cannot be turned into JSON.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// Two models that do not cover the same rows.
#[derive(Debug, Error)]
#[error("{first} and {other} are not about the same rows: {other} {}", difference(missing, extra))]
pub struct OtherRows {
    /// The model whose rows are the reference.
    pub first: String,
    /// The other model.
    pub other: String,
    /// Ids that `other` lacks.
    pub missing: IdList,
    /// Ids that only `other` has.
    pub extra: IdList,
}

/// The same row with another label or text in two models' predictions.
#[derive(Debug, Error)]
#[error("row id {id:?}: the {what} is {left} in {first} and {right} in {other}")]
pub struct RowDifference {
    /// The row's id.
    pub id: String,
    /// `label` or `text`.
    pub what: &'static str,
    /// The model whose rows are the reference.
    pub first: String,
    /// Its value.
    pub left: String,
    /// The other model.
    pub other: String,
    /// Its value.
    pub right: String,
}

/// How many ids there are, and the first few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdList {
    /// All of them.
    pub count: usize,
    /// At most [`IdList::SHOWN`], in row order.
    pub first: Vec<String>,
}

impl IdList {
    /// Ids that a message names.
    pub const SHOWN: usize = 3;

    /// Counts an id and keeps it if it is among the first.
    pub fn push(&mut self, id: &str) {
        self.count += 1;
        if self.first.len() < Self::SHOWN {
            self.first.push(id.to_owned());
        }
    }
}

fn difference(missing: &IdList, extra: &IdList) -> String {
    let part = |verb: &str, ids: &IdList| {
        let shown: Vec<String> = ids.first.iter().map(|id| format!("{id:?}")).collect();
        let more = if ids.count > ids.first.len() { ", …" } else { "" };
        format!("{verb} {} ({}{more})", ids.count, shown.join(", "))
    };
    match (missing.count, extra.count) {
        (_, 0) => part("lacks", missing),
        (0, _) => part("has besides", extra),
        _ => format!("{} and {}", part("lacks", missing), part("has besides", extra)),
    }
}

impl ReportError {
    /// What kind of failure this is.
    pub fn category(&self) -> Category {
        match self {
            ReportError::NoModels
            | ReportError::Setting { .. }
            | ReportError::DuplicateName { .. }
            | ReportError::TwoTeachers { .. } => Category::Usage,
            ReportError::Gate(error) => error.category(),
            ReportError::Stopped(reason) => reason.category(),
            ReportError::File(error) => error.category(),
            ReportError::Json(_) => Category::Internal,
            _ => Category::Data,
        }
    }
}
