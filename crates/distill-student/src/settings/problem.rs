//! What goes with which kind of label.

use distill_core::ProblemType;

use super::check::{refuse, word};
use super::{ClassWeightRule, ClassWeights, LossChoice, Sampling, TrainSettings};
use crate::error::TrainError;
use crate::loss::soft::Reading;
use crate::selection::Metric;

impl TrainSettings {
    /// The same settings with the words that `auto` stands for with this kind of label: what a run's record holds.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for what has no meaning there, with the reason.
    pub fn for_problem(&self, problem_type: ProblemType) -> Result<Self, TrainError> {
        let loss = match problem_type {
            ProblemType::SingleLabel => LossChoice::Kl,
            ProblemType::MultiLabel => LossChoice::Bce,
            ProblemType::Regression => LossChoice::Mse,
        };
        let settings = TrainSettings {
            loss: if self.loss == LossChoice::Auto { loss } else { self.loss },
            best_metric: self.best_metric.resolve(problem_type).into(),
            ..self.clone()
        };
        settings.check()?;
        settings.check_metric(problem_type)?;
        match problem_type {
            ProblemType::SingleLabel => Ok(()),
            ProblemType::MultiLabel => settings.check_multi_label(),
            ProblemType::Regression => settings.check_regression(),
        }?;
        Ok(settings)
    }

    fn check_metric(&self, problem_type: ProblemType) -> Result<(), TrainError> {
        use Metric::{Accuracy, Agreement, Loss, MacroF1, MicroF1, Mse};
        let (known, expected): (&[Metric], _) = match problem_type {
            ProblemType::SingleLabel => (
                &[Accuracy, MacroF1, Agreement, Loss],
                "\"accuracy\", \"macro_f1\", \"agreement\" or \"loss\" for one class a row",
            ),
            ProblemType::MultiLabel => (
                &[MicroF1, MacroF1, Agreement, Loss],
                "\"micro_f1\", \"macro_f1\", \"agreement\" or \"loss\" for several classes a row",
            ),
            ProblemType::Regression => (&[Mse, Loss], "\"mse\" or \"loss\" for a regression"),
        };
        let metric = self.best_metric.resolve(problem_type);
        refuse("best_metric", metric.name(), known.contains(&metric), expected)
    }

    fn check_multi_label(&self) -> Result<(), TrainError> {
        refuse(
            "loss",
            word(self.loss),
            self.loss.resolve(self, ProblemType::MultiLabel).reading() != Reading::Softmax,
            "\"bce\" or \"mse\" for several classes a row: the others compare softmax distributions, in which one \
             label takes from another",
        )?;
        refuse(
            "sampling",
            word(self.sampling),
            self.sampling == Sampling::Uniform,
            "\"uniform\" for several classes a row: a row stands for all of its classes at once",
        )
    }

    fn check_regression(&self) -> Result<(), TrainError> {
        refuse(
            "loss",
            word(self.loss),
            self.loss.resolve(self, ProblemType::Regression).reading() == Reading::Values,
            "\"mse\" for a regression: the others compare probabilities, and its output is none",
        )?;
        let smoothing = self.label_smoothing;
        refuse("label_smoothing", smoothing, smoothing == 0.0, "0 for a regression, which has no classes")?;
        let unweighted = self.class_weights == ClassWeights::Rule(ClassWeightRule::None);
        let weights = serde_json::to_string(&self.class_weights).unwrap_or_default();
        refuse("class_weights", weights, unweighted, "\"none\" for a regression, which has no classes")?;
        let uniform = self.sampling == Sampling::Uniform;
        refuse("sampling", word(self.sampling), uniform, "\"uniform\" for a regression, which has no classes")
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
        assert_eq!(of(ProblemType::SingleLabel), (LossChoice::Kl, BestMetric::Accuracy));
        assert_eq!(of(ProblemType::MultiLabel), (LossChoice::Bce, BestMetric::MicroF1));
        assert_eq!(of(ProblemType::Regression), (LossChoice::Mse, BestMetric::Mse));
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_the_reason() {
        use ProblemType::{MultiLabel, Regression, SingleLabel};
        let base = TrainSettings::default();
        for (settings, problem_type, part) in [
            (
                TrainSettings { loss: LossChoice::Kl, ..base.clone() },
                MultiLabel,
                "one label takes from another",
            ),
            (TrainSettings { loss: LossChoice::Dkd, ..base.clone() }, MultiLabel, "loss is dkd"),
            (TrainSettings { standardize_logits: true, ..base.clone() }, MultiLabel, "standardize_logits"),
            (TrainSettings { loss: LossChoice::Bce, ..base.clone() }, Regression, "compare probabilities"),
            (TrainSettings { label_smoothing: 0.1, ..base.clone() }, Regression, "no classes"),
            (
                TrainSettings { sampling: Sampling::Balanced, ..base.clone() },
                Regression,
                "sampling is balanced",
            ),
            (TrainSettings { best_metric: BestMetric::Accuracy, ..base.clone() }, MultiLabel, "micro_f1"),
            (TrainSettings { best_metric: BestMetric::Mse, ..base.clone() }, SingleLabel, "accuracy"),
        ] {
            let text = settings.for_problem(problem_type).unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }
}
