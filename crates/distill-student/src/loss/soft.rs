//! The comparisons of the student's logits with the teacher's, as one trait.
//!
//! A new one is a file with a type that implements [`LogitLoss`], a variant of [`SoftLoss`], and its word in the settings.

use distill_task::Activation;
use distill_torch::TorchError;
use tch::Tensor;

pub use super::bce::SigmoidKl;
pub use super::dist::Dist;
pub use super::dkd::Dkd;
pub use super::js::JensenShannon;
pub use super::kl::Kl;
pub use super::mse::LogitMse;
pub use super::reverse_kl::ReverseKl;

/// The logits of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// `[N, C]`
    pub student: &'a Tensor,
    /// `[N, C]`, without gradient.
    pub teacher: &'a Tensor,
    /// int64 `[N]` for one class a row, with [`super::UNLABELLED`] where there is none; else float `[N, C]`.
    pub labels: &'a Tensor,
    /// `T`
    pub temperature: f64,
}

/// How a formula writes its parts.
#[derive(Clone, Debug)]
pub struct Symbols {
    /// The teacher's logits.
    pub teacher: String,
    /// The student's logits.
    pub student: String,
    /// `T`, or its value where it is fixed.
    pub t: String,
    /// `T²`, or its value where it is fixed.
    pub squared: String,
}

impl Symbols {
    /// The softmax of the teacher's and of the student's logits.
    pub fn softmax(&self) -> [String; 2] {
        [&self.teacher, &self.student].map(|z| format!("softmax({z}/{})", self.t))
    }
}

/// A comparison of the student's logits with the teacher's: a mean over the rows of a batch.
pub trait LogitLoss {
    /// Its word in the settings.
    fn name(&self) -> &'static str;

    /// What it makes of logits, and so which tasks it suits.
    fn activation(&self) -> Activation {
        Activation::Softmax
    }

    /// Its formula, for people.
    fn formula(&self, symbols: &Symbols) -> String;

    /// Whether logits are divided by a temperature.
    fn has_temperature(&self) -> bool {
        true
    }

    /// Whether it is defined on logits that were standardized row by row.
    fn takes_standardized(&self) -> bool {
        false
    }

    /// Whether it correlates the rows of a batch, so that a batch cannot be cut into passes.
    fn needs_whole_batch(&self) -> bool {
        false
    }

    /// Its own weights, by their names in the settings, where at least one of them must be above 0.
    fn weights(&self) -> Option<(&'static str, [f64; 2])> {
        None
    }

    /// Why it says nothing about two labels, where that is so.
    fn useless_for_two_labels(&self) -> Option<&'static str> {
        None
    }

    /// The loss, `[]`, unweighted.
    ///
    /// # Errors
    /// [`TorchError`] where shapes differ.
    fn value(&self, logits: Comparison<'_>) -> Result<Tensor, TorchError>;
}

/// A comparison with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SoftLoss {
    /// `KL(teacher ‖ student)`.
    Kl(Kl),
    /// `KL(student ‖ teacher)`.
    ReverseKl(ReverseKl),
    /// Jensen-Shannon divergence.
    Js(JensenShannon),
    /// Squared distance of the logits.
    Mse(LogitMse),
    /// Decoupled knowledge distillation.
    Dkd(Dkd),
    /// Correlation of the probabilities, by row and by label.
    Dist(Dist),
    /// A sigmoid for each label.
    Bce(SigmoidKl),
}

impl std::ops::Deref for SoftLoss {
    type Target = dyn LogitLoss;

    fn deref(&self) -> &Self::Target {
        match self {
            SoftLoss::Kl(loss) => loss,
            SoftLoss::ReverseKl(loss) => loss,
            SoftLoss::Js(loss) => loss,
            SoftLoss::Mse(loss) => loss,
            SoftLoss::Dkd(loss) => loss,
            SoftLoss::Dist(loss) => loss,
            SoftLoss::Bce(loss) => loss,
        }
    }
}
