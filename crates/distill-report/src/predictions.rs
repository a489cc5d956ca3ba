//! What comes in: one model's logits and the labels of the same rows, checked once.
//!
//! `N` rows, `C` labels.

use distill_core::LabelMap;
use distill_task::logits::argmax;
use distill_task::{Label, TaskId};
use serde::{Deserialize, Serialize};

pub use crate::cost::{Cost, Latency, Round};
use crate::error::ReportError;

mod answered;
mod check;
mod tagged;

pub use answered::AnsweredRow;
pub(crate) use answered::Answers;
pub use tagged::TaggedRow;
pub(crate) use tagged::Words;

/// The part a model plays in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The model that was distilled. At most one in a report.
    Teacher,
    /// The model under test: gates are about it unless they name another.
    Student,
    /// The student trained without a teacher: where the gap that distillation may close begins.
    Baseline,
    /// Any other model.
    Other,
}

impl Role {
    /// The word that tables use.
    pub fn name(self) -> &'static str {
        match self {
            Role::Teacher => "teacher",
            Role::Student => "student",
            Role::Baseline => "baseline",
            Role::Other => "other",
        }
    }
}

/// One model's logits over one data set, with the labels of its rows.
///
/// A value of this type has been checked: lengths agree, ids are unique, logits are finite,
/// labels are within the label map, and where rows have one class at least two occur.
#[derive(Clone, Debug)]
pub struct Predictions {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) ids: Vec<String>,
    pub(crate) label_map: LabelMap,
    pub(crate) problem_type: TaskId,
    pub(crate) labels: Vec<Option<Label<i32>>>,
    pub(crate) logits: Vec<f32>,
    /// Where each word has a tag: the words, and which logits are theirs.
    pub(crate) words: Option<Words>,
    /// Where rows have answers: the texts, and what is answered.
    pub(crate) answers: Option<Answers>,
    pub(crate) texts: Option<Vec<String>>,
    pub(crate) cost: Option<Cost>,
    pub(crate) rounds: Vec<Round>,
    pub(crate) seeds_of: Option<String>,
    pub(crate) columns: Vec<(String, Vec<String>)>,
}

impl Predictions {
    /// Checks and takes over the rows of a model with one class a row.
    ///
    /// # Shapes
    /// - `ids`, `labels`: `[N]`, a label of none where a row has none
    /// - `logits`: `[N, C]` row-major, untempered, columns in the order of `label_map`
    ///
    /// # Errors
    /// [`ReportError::NoRows`], [`ReportError::Length`], [`ReportError::DuplicateId`],
    /// [`ReportError::NotFinite`], [`ReportError::LabelRange`], [`ReportError::Unlabelled`] and
    /// [`ReportError::OneClass`], each with the model's name and, where there is one, the row.
    pub fn new(
        name: impl Into<String>,
        role: Role,
        ids: Vec<String>,
        label_map: LabelMap,
        labels: Vec<Option<i32>>,
        logits: Vec<f32>,
    ) -> Result<Self, ReportError> {
        let labels = labels.into_iter().map(|label| label.map(Label::Class)).collect();
        Self::labelled(name, role, TaskId::SINGLE_LABEL, ids, label_map, labels, logits)
    }

    /// Checks and takes over a model's rows, whose labels are what `problem_type` says. Of a regression the logits
    /// are its values, and the label map has one name.
    ///
    /// # Errors
    /// As [`Predictions::new`], and [`ReportError::LabelKind`] for a label of another kind.
    pub fn labelled(
        name: impl Into<String>,
        role: Role,
        problem_type: TaskId,
        ids: Vec<String>,
        label_map: LabelMap,
        labels: Vec<Option<Label<i32>>>,
        logits: Vec<f32>,
    ) -> Result<Self, ReportError> {
        let new =
            Predictions { labels, logits, ..Self::empty(name.into(), role, problem_type, ids, label_map) };
        new.checked()
    }

    /// A model whose labels and logits are still missing.
    fn empty(
        name: String,
        role: Role,
        problem_type: TaskId,
        ids: Vec<String>,
        label_map: LabelMap,
    ) -> Predictions {
        Predictions {
            name,
            role,
            ids,
            label_map,
            problem_type,
            labels: Vec::new(),
            logits: Vec::new(),
            words: None,
            answers: None,
            texts: None,
            cost: None,
            rounds: Vec::new(),
            seeds_of: None,
            columns: Vec::new(),
        }
    }

    fn checked(self) -> Result<Self, ReportError> {
        self.check_lengths()?;
        self.check_ids()?;
        self.check_logits()?;
        self.check_labels()?;
        Ok(self)
    }

    /// Adds the rows' texts, `[N]`, which lists of errors then show.
    ///
    /// # Errors
    /// [`ReportError::Length`] unless there is one a row.
    pub fn with_texts(mut self, texts: Vec<String>) -> Result<Self, ReportError> {
        self.check_length("the texts", texts.len(), self.ids.len())?;
        self.texts = Some(texts);
        Ok(self)
    }

    /// Adds a column of the data set, `[N]`, that slices are cut by.
    ///
    /// # Errors
    /// [`ReportError::Length`] unless there is a value a row.
    pub fn with_column(mut self, name: impl Into<String>, values: Vec<String>) -> Result<Self, ReportError> {
        self.check_length("a column", values.len(), self.ids.len())?;
        self.columns.push((name.into(), values));
        Ok(self)
    }

    /// Says that this is one of several runs of the same model with other seeds, which are then
    /// summarised under the name of `model`.
    pub fn as_seed_of(mut self, model: impl Into<String>) -> Self {
        self.seeds_of = Some(model.into());
        self
    }

    /// The model that this is one of several seeds of.
    pub fn seeds_of(&self) -> Option<&str> {
        self.seeds_of.as_deref()
    }

    /// Adds what the model costs.
    ///
    /// # Errors
    /// [`ReportError::Cost`] where a rate or a time is not a finite number above 0.
    pub fn with_cost(mut self, cost: Cost) -> Result<Self, ReportError> {
        let latency = cost.latency.map(|l| [("p50_ms", l.p50_ms), ("p95_ms", l.p95_ms), ("p99_ms", l.p99_ms)]);
        let rate = cost.rows_per_second.map(|rate| ("rows_per_second", rate));
        let figures = rate.into_iter().chain(latency.into_iter().flatten());
        for (what, value) in figures {
            if !(value.is_finite() && value > 0.0) {
                return Err(ReportError::Cost { model: self.name, what, value });
            }
        }
        self.cost = Some(cost);
        Ok(self)
    }

    /// Adds the rounds that the speed in its cost was measured in.
    ///
    /// # Errors
    /// [`ReportError::Cost`] where a rate or a time is not a finite number above 0.
    pub fn with_rounds(mut self, rounds: Vec<Round>) -> Result<Self, ReportError> {
        let figures = rounds.iter().flat_map(|round| {
            let Round { rows_per_second, latency: Latency { p50_ms, p95_ms, p99_ms } } = *round;
            [("rows_per_second", rows_per_second), ("p50_ms", p50_ms), ("p95_ms", p95_ms), ("p99_ms", p99_ms)]
        });
        for (what, value) in figures {
            if !(value.is_finite() && value > 0.0) {
                return Err(ReportError::Cost { model: self.name, what, value });
            }
        }
        self.rounds = rounds;
        Ok(self)
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part the model plays.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Number of rows, `N`.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// Number of labels, `C`.
    pub fn num_labels(&self) -> usize {
        self.label_map.num_labels()
    }

    /// The logits of one row, `[C]`; of a tag for each word those of all its words, `[P, C]`; none of
    /// answers.
    pub fn row(&self, row: usize) -> &[f32] {
        let width = self.num_labels();
        match (&self.words, &self.answers) {
            (Some(words), _) => &self.logits[words.range(row)],
            (None, Some(_)) => &[],
            (None, None) => &self.logits[row * width..(row + 1) * width],
        }
    }

    /// The predicted label of every row with one class, `[N]`: the largest logit, the lowest id among equals, as in
    /// numpy.
    pub fn predicted(&self) -> Vec<usize> {
        self.logits.chunks_exact(self.num_labels()).map(argmax).collect()
    }

    /// What the logits mean.
    pub fn problem_type(&self) -> TaskId {
        self.problem_type
    }

    /// The class of a row that has one.
    pub(crate) fn target(&self, row: usize) -> Option<usize> {
        match &self.labels[row] {
            Some(Label::Class(class)) => usize::try_from(*class).ok(),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use distill_core::Category;

    use super::*;

    /// Three classes, ids `r0`, `r1`, …
    pub(crate) fn make(
        name: &str,
        role: Role,
        labels: &[i32],
        logits: &[[f32; 3]],
    ) -> Result<Predictions, ReportError> {
        let ids = (0..labels.len()).map(|row| format!("r{row}")).collect();
        let map = LabelMap::new(["a", "b", "c"]).unwrap();
        let labels = labels.iter().map(|label| Some(*label)).collect();
        Predictions::new(name, role, ids, map, labels, logits.concat())
    }

    #[test]
    fn an_error_names_model_row_id_and_field() {
        let nan = make("student", Role::Student, &[0, 1], &[[0.0; 3], [0.0, f32::NAN, 0.0]]).unwrap_err();
        assert_eq!(nan.to_string(), r#"student: row 2 (id "r1"): the logit of "b" is NaN"#);
        assert_eq!(nan.category(), Category::Data);
        let range = make("student", Role::Student, &[0, 3], &[[0.0; 3], [0.0; 3]]).unwrap_err();
        assert_eq!(range.to_string(), r#"student: row 2 (id "r1"): label 3 is not one of 0 to 2"#);
        let negative = make("student", Role::Student, &[-1, 2], &[[0.0; 3], [0.0; 3]]).unwrap_err();
        assert!(negative.to_string().contains("row 1"), "{negative}");
    }

    #[test]
    fn rows_that_measure_nothing_are_refused() {
        assert!(matches!(make("m", Role::Other, &[], &[]), Err(ReportError::NoRows { .. })));
        assert!(matches!(make("m", Role::Other, &[1, 1], &[[0.0; 3]; 2]), Err(ReportError::OneClass { .. })));
        assert!(matches!(make("m", Role::Other, &[1, 0], &[[0.0; 3]; 3]), Err(ReportError::Length { .. })));
        let map = LabelMap::new(["a", "b"]).unwrap();
        let unlabelled =
            Predictions::new("m", Role::Other, vec!["1".into()], map.clone(), vec![None], vec![0.0; 2]);
        assert!(matches!(unlabelled, Err(ReportError::Unlabelled { rows: 1, .. })));
        let twice = Predictions::new("m", Role::Other, vec!["1".into(); 2], map, vec![None; 2], vec![0.0; 4]);
        assert!(matches!(twice, Err(ReportError::DuplicateId { first: 1, second: 2, .. })));
    }

    #[test]
    fn a_tie_goes_to_the_lowest_id_as_in_numpy() {
        let tied = make("m", Role::Other, &[0, 1], &[[0.5, 0.5, 0.5], [-1.0, 2.0, 2.0]]).unwrap();
        assert_eq!(tied.predicted(), [0, 1]);
    }

    #[test]
    fn a_rate_of_zero_is_not_a_cost() {
        let cost = Cost { parameters: 1, bytes: 4, rows_per_second: Some(0.0), latency: None };
        let error = make("m", Role::Other, &[0, 1], &[[0.0; 3]; 2]).unwrap().with_cost(cost).unwrap_err();
        assert!(error.to_string().contains("rows_per_second is 0"), "{error}");
    }
}
