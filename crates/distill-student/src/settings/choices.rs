//! Settings that are one of several words.

use distill_task::{Activation, TaskId};
use serde::{Deserialize, Serialize};

use super::TrainSettings;
use crate::loss::soft::{Dist, Dkd, JensenShannon, Kl, LogitMse, ReverseKl, SigmoidKl, SoftLoss};
use crate::selection::Metric;

/// What the best checkpoint is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestMetric {
    /// What the task says: accuracy; micro F1 for several classes a row; the squared error for a regression; entity F1 for tags.
    Auto,
    /// [`Metric::Accuracy`].
    Accuracy,
    /// [`Metric::Loss`].
    Loss,
    /// [`Metric::MicroF1`].
    MicroF1,
    /// [`Metric::MacroF1`].
    MacroF1,
    /// [`Metric::Mse`].
    Mse,
    /// [`Metric::Agreement`].
    Agreement,
    /// [`Metric::EntityF1`].
    EntityF1,
    /// [`Metric::TokenAccuracy`].
    TokenAccuracy,
    /// [`Metric::ExactMatch`].
    ExactMatch,
    /// [`Metric::F1`].
    F1,
}

impl BestMetric {
    /// The metric for labels of this kind.
    pub fn resolve(self, problem_type: TaskId) -> Metric {
        match self {
            BestMetric::Auto => Metric::default_for(problem_type),
            BestMetric::Accuracy => Metric::Accuracy,
            BestMetric::Loss => Metric::Loss,
            BestMetric::MicroF1 => Metric::MicroF1,
            BestMetric::MacroF1 => Metric::MacroF1,
            BestMetric::Mse => Metric::Mse,
            BestMetric::Agreement => Metric::Agreement,
            BestMetric::EntityF1 => Metric::EntityF1,
            BestMetric::TokenAccuracy => Metric::TokenAccuracy,
            BestMetric::ExactMatch => Metric::ExactMatch,
            BestMetric::F1 => Metric::F1,
        }
    }
}

impl From<Metric> for BestMetric {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::Accuracy => BestMetric::Accuracy,
            Metric::Loss => BestMetric::Loss,
            Metric::MicroF1 => BestMetric::MicroF1,
            Metric::MacroF1 => BestMetric::MacroF1,
            Metric::Mse => BestMetric::Mse,
            Metric::Agreement => BestMetric::Agreement,
            Metric::EntityF1 => BestMetric::EntityF1,
            Metric::TokenAccuracy => BestMetric::TokenAccuracy,
            Metric::ExactMatch => BestMetric::ExactMatch,
            Metric::F1 => BestMetric::F1,
        }
    }
}

/// How the student's logits are compared with the teacher's. [`crate::loss`] has a file for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossChoice {
    /// `kl`, of several classes a row `bce`, of a regression `mse`.
    Auto,
    /// `KL(teacher ‖ student)`.
    Kl,
    /// `KL(student ‖ teacher)`.
    ReverseKl,
    /// Jensen-Shannon divergence.
    Js,
    /// Squared distance of the logits.
    Mse,
    /// Decoupled knowledge distillation.
    Dkd,
    /// Correlation of the probabilities, by row and by label.
    Dist,
    /// A sigmoid a label, for several labels a row; labels then have binary cross-entropy.
    Bce,
}

impl LossChoice {
    /// What `auto` stands for: the comparison that reads logits as the task does.
    pub(crate) fn default_for(task: TaskId) -> Self {
        match task.activation() {
            Activation::Softmax => LossChoice::Kl,
            Activation::Sigmoid => LossChoice::Bce,
            Activation::Identity => LossChoice::Mse,
        }
    }

    /// The loss with its parameters for labels of this kind.
    pub(crate) fn resolve(self, settings: &TrainSettings, problem_type: TaskId) -> SoftLoss {
        match self {
            LossChoice::Auto => Self::default_for(problem_type).resolve(settings, problem_type),
            LossChoice::Kl => SoftLoss::Kl(Kl),
            LossChoice::ReverseKl => SoftLoss::ReverseKl(ReverseKl),
            LossChoice::Js => SoftLoss::Js(JensenShannon),
            LossChoice::Mse => SoftLoss::Mse(LogitMse),
            LossChoice::Dkd => SoftLoss::Dkd(Dkd { alpha: settings.dkd_alpha, beta: settings.dkd_beta }),
            LossChoice::Dist => SoftLoss::Dist(Dist { beta: settings.dist_beta, gamma: settings.dist_gamma }),
            LossChoice::Bce => SoftLoss::Bce(SigmoidKl),
        }
    }
}

/// How the states after a layer are compared with the teacher's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HiddenLoss {
    /// Squared distance.
    Mse,
    /// One minus the cosine.
    Cosine,
}

/// How attention is compared with the teacher's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttentionLoss {
    /// Squared distance of the scores before the softmax.
    Mse,
    /// `KL(teacher ‖ student)` of what each token attends to.
    Kl,
}

/// How the temperature changes over a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemperatureSchedule {
    /// Not at all.
    Fixed,
    /// On a line from `temperature` to `temperature_end`.
    Linear,
    /// On half a cosine from `temperature` to `temperature_end`.
    Cosine,
}

/// What each class's cross-entropy is multiplied by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected \"none\", \"balanced\" or a list with a number for each label")]
pub enum ClassWeights {
    /// A rule.
    Rule(ClassWeightRule),
    /// One weight a class, in the order of the label map.
    Given(Vec<f64>),
}

/// A rule for class weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeightRule {
    /// All the same.
    None,
    /// `n / (C · n_c)`: classes weigh the same together, and the mean over rows is 1. Of binary cross-entropy
    /// `(n − n_c) / n_c` for what says yes alone.
    Balanced,
}

/// What turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerChoice {
    /// Adam with decoupled weight decay.
    Adamw,
    /// Adam with weight decay in the gradient.
    Adam,
    /// Stochastic gradient descent with momentum.
    Sgd,
    /// The sign of a momentum.
    Lion,
    /// Adam with a step as long as the weights of each tensor.
    Lamb,
}

/// The learning rate over a run, after its warmup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleChoice {
    /// The peak all the time.
    Constant,
    /// On a line to 0.
    Linear,
    /// On half a cosine to 0.
    Cosine,
    /// Up and down on cosines, from a 25th of the peak to a 250,000th.
    OneCycle,
    /// With one over the square root of the step.
    InverseSqrt,
}

/// What is not trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Freeze {
    /// Nothing.
    None,
    /// The embeddings.
    Embeddings,
    /// Embeddings and all layers: pooler and head are trained on the encoder's features.
    Encoder,
}

/// Which rows an epoch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampling {
    /// Every row once.
    Uniform,
    /// As many rows, of which every class has the same share.
    Balanced,
}
