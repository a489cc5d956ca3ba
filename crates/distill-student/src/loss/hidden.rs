//! Hidden states after a layer, of the student compared with the teacher's.
//!
//! Legend: `T` tokens in the batch, `B` rows, `H` hidden.

use distill_torch::{Packing, TorchError, copied_to, guard, or_panic};
use tch::{Device, Kind, Tensor};

use super::same_shape;

/// `‖h_s − h_t‖² / H` of each token, mean over the tokens of a row, mean over rows.
///
/// # Shapes
/// - `student`, `teacher`: `[T, H]`; the teacher's carries no gradient. A narrower student's is projected
///   before.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Jiao et al. 2020 (TinyBERT), arXiv:1909.10351, equation 8.
pub fn hidden_mse(student: &Tensor, teacher: &Tensor, packing: &Packing) -> Result<Tensor, TorchError> {
    same_shape(("the student's hidden states", student), ("the teacher's", teacher))?;
    guard("loss of hidden states", || {
        let by_token = (student - teacher.detach()).square().mean_dim(-1, false, Kind::Float); // [T]
        by_token.dot(&token_shares(packing, by_token.device()))
    })
}

/// `1 − cos(h_s, h_t)` of each token, mean over the tokens of a row, mean over rows.
///
/// # Shapes
/// As [`hidden_mse`].
///
/// # Errors
/// As [`hidden_mse`].
///
/// Source: Sanh et al. 2019 (DistilBERT), arXiv:1910.01108, section 3.
pub fn hidden_cosine(student: &Tensor, teacher: &Tensor, packing: &Packing) -> Result<Tensor, TorchError> {
    same_shape(("the student's hidden states", student), ("the teacher's", teacher))?;
    guard("loss of hidden states", || {
        let similar = Tensor::cosine_similarity(student, &teacher.detach(), -1, 1e-8); // [T]
        let apart: Tensor = 1.0 - similar; // [T]
        apart.dot(&token_shares(packing, student.device()))
    })
}

/// One over the length of its row and the number of rows, for each token: float `[T]`.
fn token_shares(packing: &Packing, device: Device) -> Tensor {
    let rows = packing.rows() as f32;
    let shares: Vec<f32> = packing
        .lengths()
        .iter()
        .flat_map(|length| std::iter::repeat_n(1.0 / (*length as f32 * rows), *length as usize))
        .collect();
    or_panic(copied_to(&shares, device))
}
