//! What makes the figures of a report mean less than they seem to.

use serde::{Deserialize, Serialize};

use crate::metrics::Metric;

/// One thing that a reader has to know before the figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What was found.
    pub kind: FindingKind,
    /// True where it is part of the verdict.
    pub is_serious: bool,
    /// The data set that it was found on; none where it is about the training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The model that it is about.
    pub model: String,
    /// The metric that it was found by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// By how much the model is better than what it is compared with; negative where it is worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The interval of that difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
    /// A sentence for people, without a full stop.
    pub text: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The student trained without a teacher is better than the student.
    BaselineIsBetter,
    /// The teacher is not shown to be better than the best answer that is always the same.
    TeacherNotBetterThanConstant,
    /// The student gives the same answer on every row.
    OneAnswer,
    /// The student is not shown to be better than the best answer that is always the same.
    StudentNotBetterThanConstant,
    /// The teacher never predicts some classes that have rows.
    ClassesNeverPredicted,
    /// A run ended while it was still getting better.
    StillImproving,
    /// The teacher's training loss ended far above that of the student without a teacher.
    TeacherUndertrained,
    /// The rounds of the timing disagree.
    UnsteadyTiming,
}

impl FindingKind {
    /// Its name in `report.json`.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::BaselineIsBetter => "baseline_is_better",
            FindingKind::TeacherNotBetterThanConstant => "teacher_not_better_than_constant",
            FindingKind::OneAnswer => "one_answer",
            FindingKind::StudentNotBetterThanConstant => "student_not_better_than_constant",
            FindingKind::ClassesNeverPredicted => "classes_never_predicted",
            FindingKind::StillImproving => "still_improving",
            FindingKind::TeacherUndertrained => "teacher_undertrained",
            FindingKind::UnsteadyTiming => "unsteady_timing",
        }
    }
}
