//! A sigmoid for each label: several labels a row, each yes or no.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::{UNLABELLED, rows, same_shape};

/// Sigmoid form of the soft-target loss: `T² · Σ_c KL(σ(z_t / T) ‖ σ(z_s / T))` of yes-or-no
/// distributions, mean over rows, in nats.
///
/// # Shapes
/// - `student_logits`, `teacher_logits`: `[B, C]`; the teacher's carry no gradient.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Yang et al. 2023, "Multi-label knowledge distillation", arXiv:2308.06453, section 3.2.
pub fn sigmoid_loss(
    student_logits: &Tensor,
    teacher_logits: &Tensor,
    temperature: f64,
) -> Result<Tensor, TorchError> {
    same_shape(student_logits, teacher_logits)?;
    guard("sigmoid loss", || {
        let student = student_logits / temperature; // [B, C]
        let teacher = teacher_logits.detach() / temperature; // [B, C]
        let yes = teacher.sigmoid() * (teacher.log_sigmoid() - student.log_sigmoid()); // [B, C]
        let no = (-&teacher).sigmoid() * ((-&teacher).log_sigmoid() - (-&student).log_sigmoid()); // [B, C]
        (yes + no).sum(Kind::Float) * (temperature * temperature) / rows(student_logits)
    })
}

/// Binary cross-entropy with the labels: summed over labels and labelled rows, divided by all rows.
///
/// `smoothing` moves every target that far towards one half; `class_weights`, `[C]`, multiply a label's
/// term.
///
/// # Shapes
/// - `student_logits`: `[B, C]`; `labels`: int64 `[B]`, [`UNLABELLED`] where there is none
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] from libtorch.
pub fn binary_label_loss(
    student_logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
    smoothing: f64,
) -> Result<Tensor, TorchError> {
    guard("binary cross-entropy", || {
        let labelled = labels.not_equal(UNLABELLED).unsqueeze(-1); // [B, 1]
        let one_hot =
            student_logits.zeros_like().detach().scatter_value(-1, &labels.clamp_min(0).unsqueeze(-1), 1.0); // [B, C]
        let targets = one_hot * (1.0 - smoothing) + smoothing / 2.0; // [B, C]
        let terms =
            -(&targets * student_logits.log_sigmoid() + (1f64 - &targets) * (-student_logits).log_sigmoid());
        let terms = terms * labelled.to_kind(student_logits.kind()); // [B, C]
        let terms = match class_weights {
            Some(weights) => terms * weights.to_kind(student_logits.kind()),
            None => terms,
        };
        terms.sum(Kind::Float) / rows(student_logits)
    })
}
