//! `hard_weight · CE + soft_weight · (a comparison with the teacher)`, averaged over the batch's rows.
//!
//! A file a loss: [`hard`] for labels, [`value`] for numbers; for the teacher [`kl`], [`reverse_kl`], [`js`], [`mse`], [`dkd`],
//! [`dist`] and [`bce`], all behind the trait in [`soft`]; [`standardize`] in front of some of them. [`temperature`] is `T` over a run, and
//! [`Objective`] puts them together as the settings say.
//!
//! [`answers`] turns the positions of windows into rows of classes for all of these.
//!
//! [`contrast`] tells sequences apart, without labels and without a teacher.
//!
//! [`hidden`] and [`relation`] compare what happens inside both models, layer by layer.
//!
//! Legend: `B` rows, `C` labels.

pub mod answers;
pub mod bce;
pub mod contrast;
pub mod dist;
pub mod dkd;
pub mod hard;
pub mod hidden;
pub mod js;
pub mod kl;
pub mod mse;
mod objective;
pub mod relation;
pub mod reverse_kl;
pub mod soft;
pub mod standardize;
pub mod temperature;
pub mod value;

use distill_torch::TorchError;
use tch::Tensor;

pub use objective::Objective;
pub use temperature::Temperature;

/// One term of a loss.
#[derive(Debug)]
pub struct Term {
    /// What it compares, for people.
    pub name: &'static str,
    /// What it is multiplied by.
    pub weight: f64,
    /// Its value, `[]`, unweighted.
    pub value: Tensor,
}

/// The sum of terms with their weights, `[]`.
///
/// # Errors
/// [`TorchError`] where there is none.
pub fn sum(terms: &[Term]) -> Result<Tensor, TorchError> {
    terms
        .iter()
        .map(|term| &term.value * term.weight)
        .reduce(|sum, term| sum + term)
        .ok_or_else(|| tch::TchError::Shape("the loss has no term".to_owned()).into())
}

/// The label that stands for none: such a row has a soft loss only.
pub const UNLABELLED: i64 = -100;

fn rows(logits: &Tensor) -> f64 {
    logits.size().first().copied().unwrap_or(1) as f64
}

/// Of two tensors, each with the name that a message gives it.
fn same_shape(left: (&str, &Tensor), right: (&str, &Tensor)) -> Result<(), TorchError> {
    let [(left, own), (right, other)] = [left, right].map(|(name, tensor)| (name, tensor.size()));
    if own == other {
        return Ok(());
    }
    let message = format!("{left} {own:?} and {right} {other:?} differ");
    Err(tch::TchError::Shape(message).into())
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    pub fn value(tensor: &Tensor) -> f64 {
        tensor.double_value(&[])
    }

    #[test]
    fn tensors_of_different_shapes_are_named() {
        let [left, right] = [2, 3].map(|width| Tensor::zeros([1, width], (Kind::Float, Device::Cpu)));
        let error = super::same_shape(("student_logits", &left), ("labels", &right)).unwrap_err().to_string();
        assert!(error.contains("student_logits [1, 2] and labels [1, 3] differ"), "{error}");
    }
}
