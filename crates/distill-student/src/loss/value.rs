//! Squared error: labels that are numbers.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::{rows, same_shape};

/// `Σ (z_s − y)²` over labelled rows, divided by all rows.
///
/// # Shapes
/// - `student_logits`, `values`: `[B, 1]`, NaN where there is no label
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Bishop 2006, "Pattern Recognition and Machine Learning", section 3.1.1.
pub fn value_loss(student_logits: &Tensor, values: &Tensor) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("labels", values))?;
    guard("squared error", || {
        let labelled = values.isnan().logical_not().to_kind(student_logits.kind()); // [B, 1]
        // A NaN times 0 would still be one, in the gradient too.
        let difference = (student_logits - values.nan_to_num(0.0, None, None)) * labelled;
        difference.square().sum(Kind::Float) / rows(student_logits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::tests::value;

    #[test]
    fn unlabelled_rows_have_no_error_and_no_gradient_and_still_count_as_rows() {
        let student = Tensor::from_slice2(&[[1f32], [5.0]]).set_requires_grad(true);
        let values = Tensor::from_slice2(&[[4f32], [f32::NAN]]);
        let loss = value_loss(&student, &values).unwrap();
        assert!((value(&loss) - 4.5).abs() < 1e-6);
        loss.backward();
        let gradient = student.grad();
        assert!((gradient.double_value(&[0, 0]) + 3.0).abs() < 1e-6 && gradient.double_value(&[1, 0]) == 0.0);
    }
}
