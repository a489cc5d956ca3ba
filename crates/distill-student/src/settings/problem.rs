//! What goes with which kind of label.

use distill_core::ProblemType;

use super::check::{refuse, word};
use super::{BestMetric, ClassWeightRule, ClassWeights, Sampling, SoftLoss, TrainSettings};
use crate::error::TrainError;

impl TrainSettings {
    /// The settings for a model of this type: what is `auto` becomes what it stands for there.
    ///
    /// # Errors
    /// [`TrainError::Setting`] for what has no meaning there, with the reason.
    pub fn for_problem(&self, problem_type: ProblemType) -> Result<Self, TrainError> {
        let (loss, metric) = match problem_type {
            ProblemType::SingleLabel => (SoftLoss::Kl, BestMetric::Accuracy),
            ProblemType::MultiLabel => (SoftLoss::Bce, BestMetric::MicroF1),
            ProblemType::Regression => (SoftLoss::Mse, BestMetric::Mse),
        };
        let settings = TrainSettings {
            loss: if self.loss == SoftLoss::Auto { loss } else { self.loss },
            best_metric: if self.best_metric == BestMetric::Auto { metric } else { self.best_metric },
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
        use BestMetric::{Accuracy, Agreement, Auto, Loss, MacroF1, MicroF1, Mse};
        let (fits, expected) = match problem_type {
            ProblemType::SingleLabel => (
                matches!(self.best_metric, Auto | Accuracy | Agreement | Loss),
                "\"accuracy\", \"agreement\" or \"loss\" for one class a row",
            ),
            ProblemType::MultiLabel => (
                matches!(self.best_metric, Auto | MicroF1 | MacroF1 | Agreement | Loss),
                "\"micro_f1\", \"macro_f1\", \"agreement\" or \"loss\" for several classes a row",
            ),
            ProblemType::Regression => {
                (matches!(self.best_metric, Auto | Mse | Loss), "\"mse\" or \"loss\" for a regression")
            }
        };
        refuse("best_metric", word(self.best_metric), fits, expected)
    }

    fn check_multi_label(&self) -> Result<(), TrainError> {
        refuse(
            "loss",
            word(self.loss),
            matches!(self.loss, SoftLoss::Auto | SoftLoss::Bce | SoftLoss::Mse),
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
            matches!(self.loss, SoftLoss::Auto | SoftLoss::Mse),
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
    use super::*;

    #[test]
    fn auto_becomes_what_each_kind_of_label_needs() {
        let of = |problem_type| {
            let settings = TrainSettings::default().for_problem(problem_type).unwrap();
            (settings.loss, settings.best_metric)
        };
        assert_eq!(of(ProblemType::SingleLabel), (SoftLoss::Kl, BestMetric::Accuracy));
        assert_eq!(of(ProblemType::MultiLabel), (SoftLoss::Bce, BestMetric::MicroF1));
        assert_eq!(of(ProblemType::Regression), (SoftLoss::Mse, BestMetric::Mse));
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_the_reason() {
        use ProblemType::{MultiLabel, Regression, SingleLabel};
        let base = TrainSettings::default();
        for (settings, problem_type, part) in [
            (TrainSettings { loss: SoftLoss::Kl, ..base.clone() }, MultiLabel, "one label takes from another"),
            (TrainSettings { loss: SoftLoss::Dkd, ..base.clone() }, MultiLabel, "loss is dkd"),
            (TrainSettings { standardize_logits: true, ..base.clone() }, MultiLabel, "standardize_logits"),
            (TrainSettings { loss: SoftLoss::Bce, ..base.clone() }, Regression, "compare probabilities"),
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
