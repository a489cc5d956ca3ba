//! A run's whole loss, as its settings say.

use distill_task::{Positions, TaskId};
use distill_torch::TorchError;
use tch::{Device, Tensor};

use super::bce::{LabelWeights, binary_label_loss, multi_label_loss};
use super::hard::hard_label_loss;
use super::soft::Comparison;
use super::standardize::standardized;
use super::value::value_loss;
use super::{Term, answers};
use crate::plan::{LabelLoss, LossPlan, TrainPlan};
use crate::settings::{ClassWeightRule, ClassWeights};

/// The loss of a run.
#[derive(Debug)]
pub struct Objective<'a> {
    plan: &'a LossPlan,
    problem_type: TaskId,
    /// double `[C]`, where classes weigh differently.
    class_weights: Option<Tensor>,
    /// double `[C]`, where a label's yes weighs otherwise than its no.
    positive_weights: Option<Tensor>,
}

impl<'a> Objective<'a> {
    /// The loss for training rows, or words, of which `labelled` have a label, and `label_counts`, `[C]`, carry each one.
    pub fn of(plan: &'a TrainPlan, labelled: u64, label_counts: &[u64], device: Device) -> Self {
        let TrainPlan { loss: plan, problem_type, .. } = plan;
        let sigmoids = matches!(plan.labels.loss, LabelLoss::Binary | LabelLoss::BinaryOfClass);
        let (class_weights, positive_weights) = match &plan.labels.class_weights {
            ClassWeights::Rule(ClassWeightRule::None) => (None, None),
            ClassWeights::Rule(ClassWeightRule::Balanced) if sigmoids => {
                (None, Some(balanced_positives(labelled, label_counts)))
            }
            ClassWeights::Rule(ClassWeightRule::Balanced) => (Some(balanced(label_counts)), None),
            ClassWeights::Given(weights) => (Some(weights.clone()), None),
        };
        let [class_weights, positive_weights] = [class_weights, positive_weights]
            .map(|weights| weights.map(|weights| Tensor::from_slice(&weights).to_device(device)));
        Objective { plan, problem_type: *problem_type, class_weights, positive_weights }
    }

    /// What the model's logits mean.
    pub fn problem_type(&self) -> TaskId {
        self.problem_type
    }

    /// The whole loss of logits, `[]`. Terms of weight 0 are not computed; where both are 0, because what is learned is
    /// inside the network, it is the distance from the teacher.
    ///
    /// # Errors
    /// [`TorchError`] where shapes differ, or the soft term has no teacher's logits.
    pub fn loss(
        &self,
        student_logits: &Tensor,
        labels: &Tensor,
        teacher_logits: Option<&Tensor>,
        temperature: f64,
    ) -> Result<Tensor, TorchError> {
        let terms = self.terms(student_logits, labels, teacher_logits, temperature)?;
        match teacher_logits {
            Some(teacher) if terms.is_empty() => self.soft(student_logits, teacher, labels, temperature),
            _ => super::sum(&terms),
        }
    }

    /// The terms of [`Objective::loss`].
    ///
    /// # Errors
    /// As [`Objective::loss`].
    pub fn terms(
        &self,
        student_logits: &Tensor,
        labels: &Tensor,
        teacher_logits: Option<&Tensor>,
        temperature: f64,
    ) -> Result<Vec<Term>, TorchError> {
        let LossPlan { labels: label_term, soft, .. } = self.plan;
        let mut terms = Vec::with_capacity(2);
        if label_term.weight > 0.0 {
            let value = self.hard(student_logits, labels)?;
            terms.push(Term { name: "labels", weight: label_term.weight, value });
        }
        if soft.weight > 0.0 {
            let teacher = teacher_logits.ok_or_else(|| {
                TorchError::from(tch::TchError::Shape("no teacher logits for the soft loss".to_owned()))
            })?;
            let value = self.soft(student_logits, teacher, labels, temperature)?;
            terms.push(Term { name: "soft targets", weight: soft.weight, value });
        }
        Ok(terms)
    }

    /// Logits and labels as losses take them, row by row: where logits are those of a window's positions, its positions are the
    /// classes.
    fn rows(&self, logits: &Tensor, labels: &Tensor) -> Result<(Tensor, Tensor), TorchError> {
        match self.problem_type.positions() {
            Positions::Span => Ok((answers::distributions(logits, labels)?, answers::ends(labels))),
            Positions::Row | Positions::Word | Positions::Masked => {
                Ok((logits.shallow_clone(), labels.shallow_clone()))
            }
        }
    }

    /// The term of the labels, `[]`, unweighted. Labels are int64 `[B]` with one class a row, of answers those of
    /// [`answers`], else float `[B, C]`.
    ///
    /// # Errors
    /// [`TorchError`] where a label is outside `0..C`, or shapes differ.
    pub fn hard(&self, student_logits: &Tensor, labels: &Tensor) -> Result<Tensor, TorchError> {
        let (student_logits, labels) = &self.rows(student_logits, labels)?;
        // Validation compares logits that were copied to the CPU.
        let [whole, positive] = [&self.class_weights, &self.positive_weights]
            .map(|weights| weights.as_ref().map(|weights| weights.to_device(student_logits.device())));
        let weights = LabelWeights { whole: whole.as_ref(), positive: positive.as_ref() };
        let smoothing = self.plan.labels.smoothing;
        match self.plan.labels.loss {
            LabelLoss::CrossEntropy => hard_label_loss(student_logits, labels, weights.whole, smoothing),
            LabelLoss::BinaryOfClass => binary_label_loss(student_logits, labels, weights, smoothing),
            LabelLoss::Binary => multi_label_loss(student_logits, labels, weights, smoothing),
            LabelLoss::SquaredError => value_loss(student_logits, labels),
        }
    }

    /// The term of the teacher, `[]`, unweighted.
    ///
    /// # Errors
    /// [`TorchError`] where shapes differ.
    pub fn soft(
        &self,
        student_logits: &Tensor,
        teacher_logits: &Tensor,
        labels: &Tensor,
        temperature: f64,
    ) -> Result<Tensor, TorchError> {
        let soft = &self.plan.soft;
        let teacher_logits = &self.rows(teacher_logits, labels)?.0;
        let (student_logits, labels) = &self.rows(student_logits, labels)?;
        let compare = |student: &Tensor, teacher: &Tensor| {
            soft.loss.value(Comparison { student, teacher, labels, temperature })
        };
        if soft.standardize {
            return compare(&standardized(student_logits)?, &standardized(&teacher_logits.detach())?);
        }
        compare(student_logits, teacher_logits)
    }
}

/// `n / (C · n_c)` over the classes that occur; 0 for one that does not.
fn balanced(label_counts: &[u64]) -> Vec<f64> {
    let classes = label_counts.iter().filter(|count| **count > 0).count() as f64;
    let rows = label_counts.iter().sum::<u64>() as f64;
    label_counts.iter().map(|count| if *count == 0 { 0.0 } else { rows / (classes * *count as f64) }).collect()
}

/// `(n − n_c) / n_c`: what says yes to a label weighs as much together as what says no. 1 for a label of no row, whose
/// output is to be taught no, and for one of every row.
///
/// Source: `pos_weight` of PyTorch's `BCEWithLogitsLoss`.
fn balanced_positives(labelled: u64, label_counts: &[u64]) -> Vec<f64> {
    let weight = |count: &u64| match labelled.saturating_sub(*count) {
        without if without > 0 && *count > 0 => without as f64 / *count as f64,
        _ => 1.0,
    };
    label_counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::value;
    use crate::loss::{UNLABELLED, hard};
    use crate::plan::ModelFacts;
    use crate::settings::{LossChoice, TrainSettings};

    fn plan(settings: &TrainSettings, problem_type: TaskId) -> TrainPlan {
        let model = ModelFacts { problem_type, num_labels: 3, num_layers: 1, device: Device::Cpu };
        settings.resolve(&model).unwrap()
    }

    fn one_class<'a>(plan: &'a TrainPlan, label_counts: &[u64]) -> Objective<'a> {
        Objective::of(plan, label_counts.iter().sum(), label_counts, Device::Cpu)
    }

    #[test]
    fn balanced_classes_weigh_the_same_together() {
        assert_eq!(balanced(&[6, 2, 0]), [8.0 / 12.0, 8.0 / 4.0, 0.0]);
        let settings = TrainSettings {
            class_weights: ClassWeights::Rule(ClassWeightRule::Balanced),
            ..TrainSettings::default()
        };
        let plan = plan(&settings, TaskId::SINGLE_LABEL);
        let objective = one_class(&plan, &[3, 1]);
        // Equal logits: each row's CE is ln 2, times its class's weight: (3 · 2/3 + 1 · 2) / 4 = 1.
        let logits = Tensor::from_slice2(&[[0f32, 0.], [0., 0.], [0., 0.], [0., 0.]]);
        let labels = Tensor::from_slice(&[0i64, 0, 0, 1]);
        assert!((value(&objective.hard(&logits, &labels).unwrap()) - 2f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn a_label_that_no_row_has_is_taught_no_and_a_rare_yes_weighs_as_much_as_its_many_noes() {
        assert_eq!(balanced_positives(8, &[2, 4, 0, 8]), [3.0, 1.0, 1.0, 1.0]);
        let settings = TrainSettings {
            class_weights: ClassWeights::Rule(ClassWeightRule::Balanced),
            loss: LossChoice::Bce,
            ..TrainSettings::default()
        };
        // Of four rows one has the first label, none the second.
        let targets = Tensor::from_slice2(&[[1f32, 0.], [0., 0.], [0., 0.], [0., 0.]]);
        let [several, one] =
            [TaskId::MULTI_LABEL, TaskId::SINGLE_LABEL].map(|problem_type| plan(&settings, problem_type));
        let several = Objective::of(&several, 4, &[1, 0], Device::Cpu);
        // The same as one class a row: three rows have a third label.
        let ids = Tensor::from_slice(&[0i64, 2, 2, 2]);
        let one = one_class(&one, &[1, 0, 3]);
        for (objective, labels, width) in [(&several, &targets, 2), (&one, &ids, 3)] {
            let logits = Tensor::zeros([4, width], (tch::Kind::Float, Device::Cpu)).set_requires_grad(true);
            objective.hard(&logits, labels).unwrap().backward();
            let gradients = logits.grad().sum_dim_intlist(0, false, tch::Kind::Float); // [C]
            assert!(gradients.double_value(&[0]).abs() < 1e-6, "yes and no of the first label are even");
            assert!((gradients.double_value(&[1]) - 0.5).abs() < 1e-6, "the second is pushed down");
        }
    }

    #[test]
    fn a_soft_loss_without_a_teacher_is_an_error_and_weights_of_0_compute_nothing() {
        let settings = TrainSettings::default();
        let logits = Tensor::from_slice2(&[[0f32, 1., 2.]]);
        let labels = Tensor::from_slice(&[UNLABELLED]);
        let with_teacher = plan(&settings, TaskId::SINGLE_LABEL);
        let objective = one_class(&with_teacher, &[]);
        assert!(
            objective.loss(&logits, &labels, None, 2.0).unwrap_err().to_string().contains("no teacher logits")
        );
        let alone = plan(&settings.without_teacher(), TaskId::SINGLE_LABEL);
        let hard = hard::hard_label_loss(&logits, &labels, None, 0.0).unwrap();
        let loss = one_class(&alone, &[]).loss(&logits, &labels, None, 2.0).unwrap();
        assert_eq!(value(&loss), value(&hard));
    }

    /// Every loss is least, and its gradient 0, where the student says what the teacher says.
    #[test]
    fn every_soft_loss_vanishes_for_a_student_that_is_its_teacher() {
        use LossChoice::{Bce, Dist, Dkd, Js, Kl, Mse, ReverseKl};
        for loss in [Kl, ReverseKl, Js, Mse, Dkd, Dist, Bce] {
            for standardize_logits in [false, true] {
                let settings = TrainSettings { loss, standardize_logits, ..TrainSettings::default() };
                if settings.check().is_err() {
                    continue;
                }
                let plan = plan(&settings, TaskId::SINGLE_LABEL);
                let objective = one_class(&plan, &[]);
                let teacher = Tensor::from_slice2(&[[3f32, 1., 0.2], [-40., 2., 60.]]);
                let student = teacher.copy().set_requires_grad(true);
                let labels = Tensor::from_slice(&[1i64, UNLABELLED]);
                let found = objective.soft(&student, &teacher, &labels, 2.0).unwrap();
                found.backward();
                let gradient = student.grad().abs().max().double_value(&[]);
                assert!(value(&found).abs() < 1e-5 && gradient < 1e-5, "{loss:?}: {found:?} {gradient}");
            }
        }
    }
}
