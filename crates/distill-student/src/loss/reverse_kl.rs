//! Reverse KL: the student avoids what the teacher finds unlikely.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::soft::{Comparison, LogitLoss, Symbols};
use super::{rows, same_shape};

/// [`reverse_kl_loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReverseKl;

impl LogitLoss for ReverseKl {
    fn name(&self) -> &'static str {
        "reverse_kl"
    }

    fn formula(&self, symbols: &Symbols) -> String {
        let [p, q] = symbols.softmax();
        format!("{} · KL({q} ‖ {p})", symbols.squared)
    }

    fn takes_standardized(&self) -> bool {
        true
    }

    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError> {
        reverse_kl_loss(logits.student, logits.teacher, logits.temperature)
    }
}

/// `T² · KL(softmax(z_s / T) ‖ softmax(z_t / T))`, mean over rows, in nats.
///
/// # Shapes
/// - `student_logits`, `teacher_logits`: `[B, C]`; the teacher's carry no gradient.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Gu et al. 2024, "MiniLLM", arXiv:2306.08543, section 2.1.
pub fn reverse_kl_loss(
    student_logits: &Tensor,
    teacher_logits: &Tensor,
    temperature: f64,
) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("teacher_logits", teacher_logits))?;
    guard("reverse KL loss", || {
        let student = (student_logits / temperature).log_softmax(-1, Kind::Float); // [B, C]
        let teacher = (teacher_logits.detach() / temperature).log_softmax(-1, Kind::Float); // [B, C]
        let divergence = (student.exp() * (&student - teacher)).sum(Kind::Float); // []
        divergence * (temperature * temperature) / rows(student_logits)
    })
}
