//! Settings that are one of several words.

use distill_core::ProblemType;
use serde::{Deserialize, Serialize};

/// What the best checkpoint is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestMetric {
    /// Accuracy, of several classes a row micro F1, of a regression the squared error.
    Auto,
    /// Share of labelled rows whose label is predicted; equal ones are told apart by the loss.
    Accuracy,
    /// The training loss without dropout.
    Loss,
    /// F1 over all pairs of row and label, several classes a row.
    MicroF1,
    /// Mean of the labels' F1, several classes a row.
    MacroF1,
    /// Mean squared distance from the labels of a regression.
    Mse,
    /// Share of rows where student and teacher predict the same: it needs no labels.
    Agreement,
}

impl BestMetric {
    /// Its name in settings and results.
    pub fn name(self) -> &'static str {
        match self {
            BestMetric::Auto | BestMetric::Accuracy => "accuracy",
            BestMetric::Loss => "loss",
            BestMetric::MicroF1 => "micro_f1",
            BestMetric::MacroF1 => "macro_f1",
            BestMetric::Mse => "mse",
            BestMetric::Agreement => "agreement",
        }
    }

    /// This metric, or in the place of the loss and of agreement what `auto` means: a figure that labels alone decide,
    /// and that two models therefore have alike.
    #[must_use]
    pub fn of_labels(self, problem_type: ProblemType) -> Self {
        match (self, problem_type) {
            (BestMetric::Auto | BestMetric::Loss | BestMetric::Agreement, ProblemType::SingleLabel) => {
                BestMetric::Accuracy
            }
            (BestMetric::Auto | BestMetric::Loss | BestMetric::Agreement, ProblemType::MultiLabel) => {
                BestMetric::MicroF1
            }
            (BestMetric::Auto | BestMetric::Loss | BestMetric::Agreement, ProblemType::Regression) => {
                BestMetric::Mse
            }
            (metric, _) => metric,
        }
    }

    /// Its name for people.
    pub fn words(self) -> &'static str {
        match self {
            BestMetric::Auto | BestMetric::Accuracy => "accuracy",
            BestMetric::Loss => "loss",
            BestMetric::MicroF1 => "micro F1",
            BestMetric::MacroF1 => "macro F1",
            BestMetric::Mse => "MSE",
            BestMetric::Agreement => "agreement",
        }
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, BestMetric::Loss | BestMetric::Mse)
    }
}

/// How the student's logits are compared with the teacher's. [`crate::loss`] has a file for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SoftLoss {
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

impl SoftLoss {
    /// Whether the logits are divided by a temperature.
    pub fn has_temperature(self) -> bool {
        self != SoftLoss::Mse
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

/// The learning rate over a run, behind its warmup.
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

/// What stays as it was.
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
