//! Jensen-Shannon divergence: symmetric, and bounded by ln 2.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::soft::{Comparison, LogitLoss, Symbols};
use super::{rows, same_shape};

/// [`js_loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JensenShannon;

impl LogitLoss for JensenShannon {
    fn name(&self) -> &'static str {
        "js"
    }

    fn formula(&self, symbols: &Symbols) -> String {
        let [p, q] = symbols.softmax();
        format!("{} · JS({p}, {q})", symbols.squared)
    }

    fn takes_standardized(&self) -> bool {
        true
    }

    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError> {
        js_loss(logits.student, logits.teacher, logits.temperature)
    }
}

/// `T² · (KL(p ‖ m) + KL(q ‖ m)) / 2` with `p = softmax(z_t / T)`, `q = softmax(z_s / T)`,
/// `m = (p + q) / 2`, mean over rows, in nats.
///
/// # Shapes
/// - `student_logits`, `teacher_logits`: `[B, C]`; the teacher's carry no gradient.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Lin 1991, "Divergence measures based on the Shannon entropy", IEEE Transactions on
/// Information Theory 37(1); for distillation Wen et al. 2023, arXiv:2307.15190, section 2.
pub fn js_loss(
    student_logits: &Tensor,
    teacher_logits: &Tensor,
    temperature: f64,
) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("teacher_logits", teacher_logits))?;
    guard("Jensen-Shannon loss", || {
        let student = (student_logits / temperature).log_softmax(-1, Kind::Float); // [B, C]
        let teacher = (teacher_logits.detach() / temperature).log_softmax(-1, Kind::Float); // [B, C]
        // In logarithms, so that probabilities too small for f32 do not give 0 · ∞.
        let middle = student.logaddexp(&teacher) - std::f64::consts::LN_2; // [B, C]
        let sum = teacher.exp() * (&teacher - &middle) + student.exp() * (&student - &middle); // [B, C]
        sum.sum(Kind::Float) * (0.5 * temperature * temperature) / rows(student_logits)
    })
}
