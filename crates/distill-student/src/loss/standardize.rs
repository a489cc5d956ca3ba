//! Logit standardization: the student need not match the teacher's scale.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

/// `(z − mean) / (1e-7 + sd)` of each row, with the sample standard deviation.
///
/// The soft losses then compare `standardized(z) / T`; a temperature suits it that is larger than 1.
///
/// # Shapes
/// - `logits`: `[B, C]`, `C ≥ 3`; returns the same
///
/// # Errors
/// [`TorchError`] from libtorch.
///
/// Source: Sun et al. 2024, arXiv:2403.01734, algorithm 1, and the authors' code.
pub fn standardized(logits: &Tensor) -> Result<Tensor, TorchError> {
    guard("logit standardization", || {
        let mean = logits.mean_dim([-1i64].as_slice(), true, Kind::Float); // [B, 1]
        let deviation = logits.std_dim([-1i64].as_slice(), true, true); // [B, 1]
        (logits - mean) / (deviation + 1e-7) // [B, C]
    })
}
