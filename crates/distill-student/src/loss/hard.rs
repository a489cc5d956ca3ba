//! Cross-entropy with the labels.

use distill_torch::{TorchError, guard};
use tch::{Kind, Reduction, Tensor};

use super::{UNLABELLED, rows};

/// Cross-entropy with the labels, summed over labelled rows and divided by all rows.
///
/// `smoothing` spreads that share of a label's weight evenly over all labels; `class_weights`, `[C]`, multiply a row's
/// whole term by its label's weight. PyTorch's `cross_entropy` weights the share that goes to each label by that label's
/// weight instead, so that with both every row is taught the classes of large weight.
///
/// # Shapes
/// - `student_logits`: `[B, C]`; `labels`: int64 `[B]`, [`UNLABELLED`] where there is none
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where a label is outside `0..C`.
///
/// Source: smoothing as Szegedy et al. 2016, arXiv:1512.00567, section 7.
pub fn hard_label_loss(
    student_logits: &Tensor,
    labels: &Tensor,
    class_weights: Option<&Tensor>,
    smoothing: f64,
) -> Result<Tensor, TorchError> {
    guard("hard-label loss", || {
        let terms =
            student_logits.cross_entropy_loss(labels, None::<&Tensor>, Reduction::None, UNLABELLED, smoothing); // [B]
        let terms = match class_weights {
            Some(weights) => {
                terms * weights.to_kind(student_logits.kind()).index_select(0, &labels.clamp_min(0))
            }
            None => terms,
        };
        terms.sum(Kind::Float) / rows(student_logits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::value;

    #[test]
    fn unlabelled_rows_have_no_hard_loss_and_still_count_as_rows() {
        let logits = Tensor::from_slice2(&[[0f32, 0.], [5., -5.]]);
        let labels = Tensor::from_slice(&[0i64, UNLABELLED]);
        assert!((value(&hard_label_loss(&logits, &labels, None, 0.0).unwrap()) - 2f64.ln() / 2.0).abs() < 1e-6);
        assert!(hard_label_loss(&logits.narrow(0, 0, 1), &Tensor::from_slice(&[7i64]), None, 0.0).is_err());
    }
}
