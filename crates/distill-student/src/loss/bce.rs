//! A sigmoid for each label: several labels a row, each yes or no.

use distill_task::Activation;
use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::soft::{Comparison, LogitLoss, Symbols};
use super::{UNLABELLED, rows, same_shape};

/// [`sigmoid_loss`]. Labels have binary cross-entropy next to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SigmoidKl;

impl LogitLoss for SigmoidKl {
    fn name(&self) -> &'static str {
        "bce"
    }

    fn activation(&self) -> Activation {
        Activation::Sigmoid
    }

    fn formula(&self, Symbols { teacher, student, t, squared }: &Symbols) -> String {
        format!("{squared} · Σ labels KL(sigmoid({teacher}/{t}) ‖ sigmoid({student}/{t}))")
    }

    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError> {
        sigmoid_loss(logits.student, logits.teacher, logits.temperature)
    }
}

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
    same_shape(("student_logits", student_logits), ("teacher_logits", teacher_logits))?;
    guard("sigmoid loss", || {
        let student = student_logits / temperature; // [B, C]
        let teacher = teacher_logits.detach() / temperature; // [B, C]
        let yes = teacher.sigmoid() * (teacher.log_sigmoid() - student.log_sigmoid()); // [B, C]
        let no = (-&teacher).sigmoid() * ((-&teacher).log_sigmoid() - (-&student).log_sigmoid()); // [B, C]
        (yes + no).sum(Kind::Float) * (temperature * temperature) / rows(student_logits)
    })
}

/// What labels weigh in a binary cross-entropy; `[C]` each, without smoothing as `weight` and `pos_weight` of PyTorch's
/// `BCEWithLogitsLoss`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LabelWeights<'a> {
    /// A label's whole term is multiplied by it, its yes and its no.
    pub whole: Option<&'a Tensor>,
    /// Its term in a row that has it is multiplied by it, so that rare labels are not taught by their many rows of no
    /// alone. PyTorch multiplies the yes that smoothing puts into every other row, too, and so teaches rare labels
    /// everywhere.
    pub positive: Option<&'a Tensor>,
}

/// Binary cross-entropy with the labels: summed over labels and labelled rows, divided by all rows.
///
/// `w · p^y · −(y' · ln σ(z) + (1 − y') · ln(1 − σ(z)))` for each label, with the target `y`, `y'` moved from it by
/// `smoothing` towards one half, and the `weights` `w` and `p`.
///
/// # Shapes
/// - `student_logits`: `[B, C]`; `labels`: int64 `[B]`, [`UNLABELLED`] where there is none
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] from libtorch.
///
/// Source: Bishop 2006, "Pattern Recognition and Machine Learning", equation 4.90; smoothing as Szegedy et al. 2016,
/// arXiv:1512.00567, section 7.
pub fn binary_label_loss(
    student_logits: &Tensor,
    labels: &Tensor,
    weights: LabelWeights<'_>,
    smoothing: f64,
) -> Result<Tensor, TorchError> {
    guard("binary cross-entropy", || {
        let labelled = labels.not_equal(UNLABELLED).unsqueeze(-1); // [B, 1]
        let one_hot =
            student_logits.zeros_like().detach().scatter_value(-1, &labels.clamp_min(0).unsqueeze(-1), 1.0); // [B, C]
        cross_entropy(student_logits, &one_hot, &labelled, weights, smoothing)
    })
}

/// The same with any number of labels a row.
///
/// # Shapes
/// - `student_logits`: `[B, C]`; `targets`: 1 or 0, `[B, C]`, NaN in a row without a label
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
pub fn multi_label_loss(
    student_logits: &Tensor,
    targets: &Tensor,
    weights: LabelWeights<'_>,
    smoothing: f64,
) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("labels", targets))?;
    guard("binary cross-entropy", || {
        let labelled = targets.isnan().logical_not(); // [B, C]
        let targets = targets.nan_to_num(0.0, None, None).to_kind(student_logits.kind()); // [B, C]
        cross_entropy(student_logits, &targets, &labelled, weights, smoothing)
    })
}

fn cross_entropy(
    student_logits: &Tensor,
    targets: &Tensor,
    labelled: &Tensor,
    weights: LabelWeights<'_>,
    smoothing: f64,
) -> Tensor {
    let kind = student_logits.kind();
    let smoothed = targets * (1.0 - smoothing) + smoothing / 2.0; // [B, C]
    let yes = &smoothed * student_logits.log_sigmoid(); // [B, C]
    let terms = -(yes + (1f64 - &smoothed) * (-student_logits).log_sigmoid()); // [B, C]
    let terms = match weights.positive {
        Some(positive) => terms * ((positive.to_kind(kind) - 1.0) * targets + 1.0),
        None => terms,
    };
    let terms = terms * labelled.to_kind(kind); // [B, C]
    let terms = match weights.whole {
        Some(whole) => terms * whole.to_kind(kind),
        None => terms,
    };
    terms.sum(Kind::Float) / rows(student_logits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::value;

    /// `binary_cross_entropy_with_logits(z, y, reduction="sum") / 2` of the first row alone:
    /// softplus(-0.5) + softplus(-2) + softplus(0) = 0.474077 + 0.126928 + 0.693147.
    #[test]
    fn every_label_of_a_row_is_a_yes_or_no_and_a_row_without_label_has_no_term() {
        let student = Tensor::from_slice2(&[[0.5f32, -2.0, 0.0], [9.0, 9.0, 9.0]]).set_requires_grad(true);
        let targets = Tensor::from_slice2(&[[1f32, 0.0, 1.0], [f32::NAN; 3]]);
        let loss = multi_label_loss(&student, &targets, LabelWeights::default(), 0.0).unwrap();
        assert!((value(&loss) - (0.474_077 + 0.126_928 + 2f64.ln()) / 2.0).abs() < 1e-5, "{loss:?}");
        loss.backward();
        assert_eq!(student.grad().get(1).abs().max().double_value(&[]), 0.0);
        let one = Tensor::from_slice2(&[[1f32, 0.0, 0.0], [0.0, 0.0, 1.0]]);
        let ids = Tensor::from_slice(&[0i64, 2]);
        for smoothing in [0.0, 0.1] {
            let by_targets = multi_label_loss(&student, &one, LabelWeights::default(), smoothing).unwrap();
            let by_ids = binary_label_loss(&student, &ids, LabelWeights::default(), smoothing).unwrap();
            assert!((value(&by_targets) - value(&by_ids)).abs() < 1e-6);
        }
    }
}
