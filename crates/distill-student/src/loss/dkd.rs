//! Decoupled knowledge distillation: the target's probability and the shape of the rest, weighted apart.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::soft::{Comparison, LogitLoss, Symbols};
use super::{UNLABELLED, rows, same_shape};

/// Stands for −∞ where a product with 0 must give 0.
const NEVER: f64 = -1e30;

/// [`dkd_loss`] with the weights of its two parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dkd {
    /// On the target's part.
    pub alpha: f64,
    /// On the other labels' part.
    pub beta: f64,
}

impl LogitLoss for Dkd {
    fn name(&self) -> &'static str {
        "dkd"
    }

    fn formula(&self, symbols: &Symbols) -> String {
        let [p, q] = symbols.softmax();
        format!("{} · ({} · TCKD + {} · NCKD)({p} ‖ {q})", symbols.squared, self.alpha, self.beta)
    }

    fn takes_standardized(&self) -> bool {
        true
    }

    fn weights(&self) -> Option<(&'static str, [f64; 2])> {
        Some(("dkd_alpha and dkd_beta", [self.alpha, self.beta]))
    }

    fn useless_for_two_labels(&self) -> Option<&'static str> {
        Some("next to the target there is one label, and its share of the rest is always 1")
    }

    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError> {
        dkd_loss(logits.student, logits.teacher, logits.labels, logits.temperature, *self)
    }
}

/// `T² · (α · KL(b_t ‖ b_s) + β · KL(p̂_t ‖ p̂_s))`, mean over rows, in nats: `b` is the probability of the
/// target against that of all others, `p̂` the distribution among the others.
///
/// The target is a row's label; where it has none, what the teacher predicts.
///
/// # Shapes
/// - `student_logits`, `teacher_logits`: `[B, C]`, `C ≥ 3`; the teacher's carry no gradient.
/// - `labels`: int64 `[B]`, [`UNLABELLED`] where there is none
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Zhao et al. 2022, arXiv:2203.08679, equation 7.
pub fn dkd_loss(
    student_logits: &Tensor,
    teacher_logits: &Tensor,
    labels: &Tensor,
    temperature: f64,
    weights: Dkd,
) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("teacher_logits", teacher_logits))?;
    guard("DKD loss", || {
        let teacher_logits = teacher_logits.detach();
        let predicted = teacher_logits.argmax(-1, false); // [B]
        let target = labels.where_self(&labels.not_equal(UNLABELLED), &predicted).unsqueeze(-1); // [B, 1]
        let is_target =
            student_logits.zeros_like().detach().scatter_value(-1, &target, 1.0).to_kind(Kind::Bool); // [B, C]
        let student = Parts::of(&(student_logits / temperature), &target, &is_target);
        let teacher = Parts::of(&(teacher_logits / temperature), &target, &is_target);
        let sum = teacher.binary_divergence(&student) * weights.alpha
            + teacher.others_divergence(&student) * weights.beta; // []
        sum * (temperature * temperature) / rows(student_logits)
    })
}

/// A model's prediction cut in two, in logarithms.
struct Parts {
    /// Of the target, `[B, 1]`.
    target: Tensor,
    /// Of all others together, `[B, 1]`.
    rest: Tensor,
    /// Among the others, `[B, C]`; [`NEVER`] for the target itself.
    others: Tensor,
}

impl Parts {
    fn of(logits: &Tensor, target: &Tensor, is_target: &Tensor) -> Self {
        let all = logits.log_softmax(-1, Kind::Float); // [B, C]
        Parts {
            target: all.gather(-1, target, false),
            rest: all.masked_fill(is_target, NEVER).logsumexp([-1i64], true),
            others: logits.masked_fill(is_target, NEVER).log_softmax(-1, Kind::Float),
        }
    }

    /// Target-class part, summed over rows: `[]`.
    fn binary_divergence(&self, student: &Parts) -> Tensor {
        let target = self.target.exp() * (&self.target - &student.target); // [B, 1]
        let rest = self.rest.exp() * (&self.rest - &student.rest); // [B, 1]
        (target + rest).sum(Kind::Float)
    }

    /// Non-target part, summed over rows: `[]`.
    fn others_divergence(&self, student: &Parts) -> Tensor {
        (self.others.exp() * (&self.others - &student.others)).sum(Kind::Float)
    }
}
