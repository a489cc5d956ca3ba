//! Squared distance of the logits: no temperature, no softmax.

use distill_task::Activation;
use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::soft::{Comparison, LogitLoss, Symbols};
use super::{rows, same_shape};

/// [`mse_loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitMse;

impl LogitLoss for LogitMse {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn activation(&self) -> Activation {
        Activation::Identity
    }

    fn formula(&self, symbols: &Symbols) -> String {
        format!("mean over labels of ({} − {})²", symbols.student, symbols.teacher)
    }

    fn has_temperature(&self) -> bool {
        false
    }

    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError> {
        mse_loss(logits.student, logits.teacher)
    }
}

/// `Σ (z_s − z_t)² / C`, mean over rows: `torch.nn.functional.mse_loss`. For centred logits it is twice
/// what `T² · KL` tends to as T grows.
///
/// # Shapes
/// - `student_logits`, `teacher_logits`: `[B, C]`; the teacher's carry no gradient.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Kim et al. 2021, arXiv:2105.08919, section 3; Ba & Caruana 2014, arXiv:1312.6184, section 2.2.
pub fn mse_loss(student_logits: &Tensor, teacher_logits: &Tensor) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("teacher_logits", teacher_logits))?;
    guard("MSE of logits", || {
        let labels = student_logits.size().last().copied().unwrap_or(1) as f64;
        let difference = student_logits - teacher_logits.detach(); // [B, C]
        difference.square().sum(Kind::Float) / (rows(student_logits) * labels)
    })
}
