//! What is known of a metric before anything is measured: its range, and whether a kind of label has it.

use distill_task::{LabelShape, TaskId};

use super::name::Metric;

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
        use Metric::{
            Accuracy, Agreement, AnswerF1, AveragePrecision, BalancedAccuracy, Brier, CohenKappa, Ece,
            EceScaled, EntityF1, EntityPrecision, EntityRecall, ExactMatch, ExplainedVariance, HammingLoss, Kl,
            LogLoss, MacroF1, MacroPrecision, MacroRecall, Mae, MaxError, Mcc, Mce, MicroF1, MicroPrecision,
            MicroRecall, Mse, Pearson, R2, Rmse, RocAuc, RocAucWeighted, SamplesF1, SamplesPrecision,
            SamplesRecall, Spearman, StrictEntityF1, StrictEntityPrecision, StrictEntityRecall, SubsetAccuracy,
            TeacherMse, TokenAccuracy, Top3, Top5, WeightedF1, WeightedPrecision, WeightedRecall,
        };
        let shape = problem_type.label_shape();
        let [single, multi, number] =
            [LabelShape::Class, LabelShape::Classes, LabelShape::Value].map(|known| known == shape);
        let [tags, spans] = [LabelShape::Tags, LabelShape::Spans].map(|known| known == shape);
        match self {
            RocAucWeighted => single && num_labels > 2,
            Top3 => single && num_labels > 3,
            Top5 => single && num_labels > 5,
            Accuracy | BalancedAccuracy | Mcc | CohenKappa | Brier | Ece | Mce | EceScaled => single,
            EntityF1
            | EntityPrecision
            | EntityRecall
            | StrictEntityF1
            | StrictEntityPrecision
            | StrictEntityRecall
            | TokenAccuracy => tags,
            ExactMatch | AnswerF1 => spans,
            SubsetAccuracy => multi || tags,
            HammingLoss | SamplesPrecision | SamplesRecall | SamplesF1 => multi,
            MacroPrecision | MacroRecall | MacroF1 | WeightedPrecision | WeightedRecall | WeightedF1 | Kl => {
                single || multi || tags
            }
            Agreement => !number,
            MicroPrecision | MicroRecall | MicroF1 | RocAuc | AveragePrecision | LogLoss => single || multi,
            R2 | ExplainedVariance | Pearson | Spearman | Mse | Rmse | Mae | MaxError | TeacherMse => number,
        }
    }
}
