//! Sequences that are told apart from each other.
//!
//! `CE(cos(hᵢ, h′ⱼ) / τ, i)`, averaged over the sequences `i` of a step: `h` and `h′` are two vectors of each sequence, which
//! differ by dropout alone.
//!
//! Source: Gao et al. 2021, arXiv:2104.08821, section 3, equation 4, with its temperature; the vectors are the states of the
//! first tokens, without the further layer that the paper trains on them.
//!
//! Legend: `B` sequences, `H` hidden.

use distill_torch::{TorchError, guard};
use tch::{Device, Kind, Reduction, Tensor};

use super::same_shape;

/// `τ`
pub const TEMPERATURE: f64 = 0.05;

/// The least norm that a vector is divided by, as in PyTorch's `cosine_similarity`.
const EPS: f64 = 1e-8;

/// The contrast of sequences by two vectors of each, both `[B, H]`: `[]`.
///
/// # Errors
/// [`TorchError`] where shapes differ.
pub fn contrast_loss(first: &Tensor, second: &Tensor) -> Result<Tensor, TorchError> {
    same_shape(("first", first), ("second", second))?;
    guard("contrastive loss", || {
        let similar = unit(first).matmul(&unit(second).transpose(0, 1)) / TEMPERATURE; // [B, B]
        let own = Tensor::arange(first.size()[0], (Kind::Int64, Device::Cpu)).to_device(first.device());
        similar.cross_entropy_loss(&own, None::<&Tensor>, Reduction::Mean, -100, 0.0)
    })
}

/// Each row at length 1, in f32 at least.
fn unit(rows: &Tensor) -> Tensor {
    let rows = if rows.kind() == Kind::Double { rows.shallow_clone() } else { rows.to_kind(Kind::Float) };
    let norm = rows.norm_scalaropt_dim(2.0, 1, true).clamp_min(EPS); // [B, 1]
    rows / norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_that_are_alike_cost_the_logarithm_of_their_number_and_those_apart_nothing() {
        let same = Tensor::ones([4, 3], (Kind::Float, Device::Cpu));
        let loss = contrast_loss(&same, &same).unwrap().double_value(&[]);
        assert!((loss - 4f64.ln()).abs() < 1e-6, "{loss}");
        let apart = Tensor::eye(4, (Kind::Float, Device::Cpu));
        assert!(contrast_loss(&apart, &(&apart * 3.0)).unwrap().double_value(&[]) < 1e-7);
        assert!(contrast_loss(&same, &apart).is_err());
    }
}
