//! DIST: correlations instead of equal probabilities, for a student much weaker than its teacher.

use distill_torch::{TorchError, guard};
use tch::{Kind, Tensor};

use super::same_shape;
use super::soft::{Comparison, LogitLoss, Symbols};

/// [`dist_loss`] with the weights of its two relations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dist {
    /// On the correlation of each row's probabilities.
    pub beta: f64,
    /// On the correlation of each label's probabilities over the batch.
    pub gamma: f64,
}

impl LogitLoss for Dist {
    fn name(&self) -> &'static str {
        "dist"
    }

    fn formula(&self, symbols: &Symbols) -> String {
        let ([p, q], Dist { beta, gamma }) = (symbols.softmax(), self);
        format!("{} · ({beta} · (1 − corr by row) + {gamma} · (1 − corr by label))({p}, {q})", symbols.squared)
    }

    fn needs_whole_batch(&self) -> bool {
        true
    }

    fn weights(&self) -> Option<(&'static str, [f64; 2])> {
        Some(("dist_beta and dist_gamma", [self.beta, self.gamma]))
    }

    fn useless_for_two_labels(&self) -> Option<&'static str> {
        Some("two numbers are always perfectly correlated, so the loss by row has no gradient")
    }

    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError> {
        dist_loss(logits.student, logits.teacher, logits.temperature, *self)
    }
}

/// `T² · (β · (1 − corr by row) + γ · (1 − corr by label))`, each a mean of Pearson correlations of
/// `softmax(z_s / T)` and `softmax(z_t / T)`.
///
/// A step's rows are what a label's correlation is taken over: small batches make it noisy.
///
/// # Shapes
/// - `student_logits`, `teacher_logits`: `[B, C]`, `C ≥ 3`; the teacher's carry no gradient.
/// - returns `[]`
///
/// # Errors
/// [`TorchError`] where the shapes differ.
///
/// Source: Huang et al. 2022, arXiv:2205.10536, equations 8 to 10, and the authors' code.
pub fn dist_loss(
    student_logits: &Tensor,
    teacher_logits: &Tensor,
    temperature: f64,
    weights: Dist,
) -> Result<Tensor, TorchError> {
    same_shape(("student_logits", student_logits), ("teacher_logits", teacher_logits))?;
    guard("DIST loss", || {
        let student = (student_logits / temperature).softmax(-1, Kind::Float); // [B, C]
        let teacher = (teacher_logits.detach() / temperature).softmax(-1, Kind::Float); // [B, C]
        let by_row = uncorrelated(&student, &teacher); // []
        let by_label = uncorrelated(&student.tr(), &teacher.tr()); // []
        (by_row * weights.beta + by_label * weights.gamma) * (temperature * temperature)
    })
}

/// 1 − the mean Pearson correlation of the rows of two `[N, M]`: `[]`.
fn uncorrelated(x: &Tensor, y: &Tensor) -> Tensor {
    let centred = |t: &Tensor| t - t.mean_dim([-1i64].as_slice(), true, Kind::Float);
    let (x, y) = (centred(x), centred(y)); // [N, M]
    let norm = |t: &Tensor| t.norm_scalaropt_dim(2, [-1i64], false); // [N]
    let covariance = (&x * &y).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float); // [N]
    let correlation = covariance / (norm(&x) * norm(&y) + 1e-8); // [N]
    1.0 - correlation.mean(Kind::Float)
}
