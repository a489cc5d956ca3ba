//! Forward KL: the classic soft-target loss.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::soft::{Comparison, LogitLoss, Symbols};
use super::{rows, same_shape};

/// [`soft_target_loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kl;

impl LogitLoss for Kl {
    fn name(&self) -> &'static str {
        "kl"
    }

    fn formula(&self, symbols: &Symbols) -> String {
        let [p, q] = symbols.softmax();
        format!("{} · KL({p} ‖ {q})", symbols.squared)
    }

    fn takes_standardized(&self) -> bool {
        true
    }

    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError> {
        soft_target_loss(logits.student, logits.teacher, logits.temperature)
    }
}

/// Soft-target loss: `T² · KL(softmax(z_t / T) ‖ softmax(z_s / T))`, mean over rows, in nats.
///
/// # Shapes
/// - `student_logits`, `teacher_logits`: `[B, C]`; the teacher's carry no gradient.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Hinton et al. 2015, arXiv:1503.02531, section 2.
pub fn soft_target_loss(
    student_logits: &Tensor,
    teacher_logits: &Tensor,
    temperature: f64,
) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("teacher_logits", teacher_logits))?;
    guard("soft-target loss", || {
        let student = (student_logits / temperature).log_softmax(-1, Kind::Float); // [B, C]
        let teacher = (teacher_logits.detach() / temperature).log_softmax(-1, Kind::Float); // [B, C]
        let divergence = (teacher.exp() * (teacher - student)).sum(Kind::Float); // []
        divergence * (temperature * temperature) / rows(student_logits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::value;

    /// One row, two labels, by hand: teacher logits `[ln 4, 0]`, student `[0, 0]`.
    /// T = 1: p = [0.8, 0.2], q = [0.5, 0.5]; T = 2: p = [2/3, 1/3]; T = 4: p = [√2, 1]/(1 + √2).
    #[test]
    fn soft_loss_is_the_divergence_with_t_squared_in_front() {
        let student = Tensor::from_slice2(&[[0f32, 0.]]);
        let teacher = Tensor::from_slice2(&[[4f32.ln(), 0.]]);
        let by_hand = |p: f64, t: f64| t * t * (p * (p / 0.5).ln() + (1.0 - p) * ((1.0 - p) / 0.5).ln());
        for (temperature, p) in [(1.0, 0.8), (2.0, 2.0 / 3.0), (4.0, 2f64.sqrt() / (1.0 + 2f64.sqrt()))] {
            let loss = value(&soft_target_loss(&student, &teacher, temperature).unwrap());
            assert!((loss - by_hand(p, temperature)).abs() < 1e-6, "T = {temperature}: {loss}");
        }
        assert!((by_hand(0.8, 1.0) - 0.192_745).abs() < 1e-6);
    }

    #[test]
    fn loss_is_averaged_over_rows_not_over_elements() {
        let student = Tensor::from_slice2(&[[0f32, 1., 2.], [3., 1., 0.]]);
        let teacher = Tensor::from_slice2(&[[2f32, 1., 0.], [0., 0., 0.]]);
        let rows: f64 = (0..2)
            .map(|row| {
                value(&soft_target_loss(&student.narrow(0, row, 1), &teacher.narrow(0, row, 1), 2.0).unwrap())
            })
            .sum();
        assert!((value(&soft_target_loss(&student, &teacher, 2.0).unwrap()) - rows / 2.0).abs() < 1e-6);
        assert!(value(&soft_target_loss(&student, &student, 3.0).unwrap()).abs() < 1e-7);
    }

    #[test]
    fn differing_shapes_name_both() {
        let student = Tensor::from_slice2(&[[0f32, 0.]]);
        let teacher = Tensor::from_slice2(&[[0f32, 0., 0.]]);
        let text = soft_target_loss(&student, &teacher, 1.0).unwrap_err().to_string();
        assert!(text.contains("[1, 2]") && text.contains("[1, 3]"), "{text}");
    }
}
