//! What goes with which task.

use distill_task::{Setting, TaskId};

use super::check::{refuse, word};
use super::{ClassWeightRule, ClassWeights, LossChoice, Sampling, TrainSettings};
use crate::error::TrainError;

impl TrainSettings {
    /// The same settings with the words that `auto` stands for in this task: what a run's record holds.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for what has no meaning there, with the reason.
    pub fn for_problem(&self, task: TaskId) -> Result<Self, TrainError> {
        let loss = if self.loss == LossChoice::Auto { LossChoice::default_for(task) } else { self.loss };
        let settings =
            TrainSettings { loss, best_metric: self.best_metric.resolve(task).into(), ..self.clone() };
        settings.check()?;
        settings.check_metric(task)?;
        settings.check_task(task)?;
        Ok(settings)
    }

    fn check_metric(&self, task: TaskId) -> Result<(), TrainError> {
        let (known, metric) = (task.selection_metrics(), self.best_metric.resolve(task));
        let names: Vec<String> = known.iter().map(|known| format!("{:?}", known.name())).collect();
        let expected = match names.split_last() {
            Some((last, others)) => format!("{} or {last} for {}", others.join(", "), task.words()),
            None => String::new(),
        };
        refuse("best_metric", metric.name(), known.contains(&metric), expected)
    }

    /// Whether everything that was asked for has a meaning in the task.
    fn check_task(&self, task: TaskId) -> Result<(), TrainError> {
        let unweighted = self.class_weights == ClassWeights::Rule(ClassWeightRule::None);
        let weights = serde_json::to_string(&self.class_weights).unwrap_or_default();
        let loss = self.loss.resolve(self, task);
        let asked = [
            ("loss", word(self.loss), Setting::Loss(loss.activation()), true),
            ("loss", word(self.loss), Setting::WholeBatch, loss.needs_whole_batch()),
            (
                "standardize_logits",
                self.standardize_logits.to_string(),
                Setting::StandardizedLogits,
                self.standardize_logits,
            ),
            (
                "label_smoothing",
                self.label_smoothing.to_string(),
                Setting::LabelSmoothing,
                self.label_smoothing != 0.0,
            ),
            ("class_weights", weights, Setting::ClassWeights, !unweighted),
            ("sampling", word(self.sampling), Setting::BalancedSampling, self.sampling != Sampling::Uniform),
        ];
        for (field, value, setting, is_asked) in asked {
            if let Some(expected) = task.refuses(setting).filter(|_| is_asked) {
                return refuse(field, value, false, expected);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::BestMetric;
    use super::*;

    #[test]
    fn auto_becomes_what_each_kind_of_label_needs() {
        let of = |problem_type| {
            let settings = TrainSettings::default().for_problem(problem_type).unwrap();
            (settings.loss, settings.best_metric)
        };
        assert_eq!(of(TaskId::SINGLE_LABEL), (LossChoice::Kl, BestMetric::Accuracy));
        assert_eq!(of(TaskId::MULTI_LABEL), (LossChoice::Bce, BestMetric::MicroF1));
        assert_eq!(of(TaskId::REGRESSION), (LossChoice::Mse, BestMetric::Mse));
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_the_reason() {
        let [single, several, number] = [TaskId::SINGLE_LABEL, TaskId::MULTI_LABEL, TaskId::REGRESSION];
        let answers = TaskId::QUESTION_ANSWERING;
        let base = TrainSettings::default();
        for (settings, problem_type, part) in [
            (TrainSettings { loss: LossChoice::Kl, ..base.clone() }, several, "one label takes from another"),
            (TrainSettings { loss: LossChoice::Dkd, ..base.clone() }, several, "loss is dkd"),
            (TrainSettings { standardize_logits: true, ..base.clone() }, several, "standardize_logits"),
            (TrainSettings { loss: LossChoice::Bce, ..base.clone() }, number, "compare probabilities"),
            (TrainSettings { label_smoothing: 0.1, ..base.clone() }, number, "no classes"),
            (TrainSettings { sampling: Sampling::Balanced, ..base.clone() }, number, "sampling is balanced"),
            (TrainSettings { best_metric: BestMetric::Accuracy, ..base.clone() }, several, "micro_f1"),
            (TrainSettings { best_metric: BestMetric::Mse, ..base.clone() }, single, "accuracy"),
            (TrainSettings { loss: LossChoice::Dist, ..base.clone() }, answers, "loss of single rows"),
            (
                TrainSettings { loss: LossChoice::Mse, ..base.clone() },
                answers,
                "different numbers of positions",
            ),
            (TrainSettings { standardize_logits: true, ..base.clone() }, answers, "standardize_logits is true"),
        ] {
            let text = settings.for_problem(problem_type).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
