//! `hard_weight · CE + soft_weight · T² · KL`, averaged over the batch's rows.
//!
//! Legend: `B` rows, `C` labels.

use distill_torch::{TorchError, guard};
use tch::{Kind, Reduction, Tensor};

use crate::settings::TrainSettings;

/// The label that stands for none: such a row has a soft loss only.
pub const UNLABELLED: i64 = -100;

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
    same_shape(student_logits, teacher_logits)?;
    guard("soft-target loss", || {
        let student = (student_logits / temperature).log_softmax(-1, Kind::Float); // [B, C]
        let teacher = (teacher_logits.detach() / temperature).log_softmax(-1, Kind::Float); // [B, C]
        let divergence = (teacher.exp() * (teacher - student)).sum(Kind::Float); // []
        divergence * (temperature * temperature) / rows(student_logits)
    })
}

/// Cross-entropy with the labels, summed over labelled rows and divided by all rows.
///
/// # Shapes
/// - `student_logits`: `[B, C]`; `labels`: int64 `[B]`, [`UNLABELLED`] where there is none
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where a label is outside `0..C`.
pub fn hard_label_loss(student_logits: &Tensor, labels: &Tensor) -> Result<Tensor, TorchError> {
    guard("hard-label loss", || {
        let sum = student_logits.cross_entropy_loss(labels, None::<Tensor>, Reduction::Sum, UNLABELLED, 0.0);
        sum / rows(student_logits)
    })
}

/// The run's whole loss, `[]`. Terms of weight 0 are not computed.
///
/// # Errors
/// [`TorchError`] where shapes differ, or the soft term has no teacher's logits.
pub fn distillation_loss(
    settings: &TrainSettings,
    student_logits: &Tensor,
    labels: &Tensor,
    teacher_logits: Option<&Tensor>,
) -> Result<Tensor, TorchError> {
    let mut terms = Vec::with_capacity(2);
    if settings.hard_weight > 0.0 {
        terms.push(hard_label_loss(student_logits, labels)? * settings.hard_weight);
    }
    if settings.soft_weight > 0.0 {
        let teacher = teacher_logits.ok_or_else(|| {
            TorchError::from(tch::TchError::Shape("no teacher logits for the soft loss".to_owned()))
        })?;
        terms.push(soft_target_loss(student_logits, teacher, settings.temperature)? * settings.soft_weight);
    }
    terms
        .into_iter()
        .reduce(|sum, term| sum + term)
        .ok_or_else(|| tch::TchError::Shape("the loss has no term".to_owned()).into())
}

#[allow(clippy::cast_precision_loss)]
fn rows(logits: &Tensor) -> f64 {
    logits.size().first().copied().unwrap_or(1) as f64
}

fn same_shape(left: &Tensor, right: &Tensor) -> Result<(), TorchError> {
    if left.size() == right.size() {
        return Ok(());
    }
    let message = format!("student_logits {:?} and teacher_logits {:?} differ", left.size(), right.size());
    Err(tch::TchError::Shape(message).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

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
    fn unlabelled_rows_have_no_hard_loss_and_still_count_as_rows() {
        let logits = Tensor::from_slice2(&[[0f32, 0.], [5., -5.]]);
        let labels = Tensor::from_slice(&[0i64, UNLABELLED]);
        assert!((value(&hard_label_loss(&logits, &labels).unwrap()) - 2f64.ln() / 2.0).abs() < 1e-6);
    }

    #[test]
    fn differing_shapes_name_both() {
        let student = Tensor::from_slice2(&[[0f32, 0.]]);
        let teacher = Tensor::from_slice2(&[[0f32, 0., 0.]]);
        let text = soft_target_loss(&student, &teacher, 1.0).unwrap_err().to_string();
        assert!(text.contains("[1, 2]") && text.contains("[1, 3]"), "{text}");
        assert!(hard_label_loss(&student, &Tensor::from_slice(&[7i64])).is_err());
    }
}
