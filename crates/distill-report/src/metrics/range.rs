//! What is known of a metric before anything is measured: its range, and whether a kind of label has it.

use distill_task::TaskId;

use super::name::Metric;
use crate::kinds;

impl Metric {
    /// The least and the largest value that it can have.
    pub fn range(self) -> [f64; 2] {
        match self {
            Metric::Mcc | Metric::CohenKappa | Metric::Pearson | Metric::Spearman => [-1.0, 1.0],
            Metric::R2 | Metric::ExplainedVariance => [f64::NEG_INFINITY, 1.0],
            Metric::Brier => [0.0, 2.0],
            Metric::LogLoss
            | Metric::Mse
            | Metric::Rmse
            | Metric::Mae
            | Metric::MaxError
            | Metric::Kl
            | Metric::TeacherMse => [0.0, f64::INFINITY],
            _ => [0.0, 1.0],
        }
    }

    /// Whether a report on labels of this kind has the metric. On some rows it may be undefined all the same.
    pub fn is_measured(self, problem_type: TaskId, num_labels: usize) -> bool {
        let more_than = match self {
            Metric::RocAucWeighted => 2,
            Metric::Top3 => 3,
            Metric::Top5 => 5,
            _ => 0,
        };
        num_labels > more_than && kinds::of(problem_type).metrics().contains(&self)
    }
}
