//! A training run as the trainer takes it. Nothing is left to choose: [`TrainSettings::resolve`] replaces every `auto`, and
//! refuses what does not go with the model.

mod formula;
mod resolve;

pub use resolve::check_masking;

use std::time::Duration;

use distill_data::masking::Masking;
use distill_model::Model;
use distill_task::TaskId;
use tch::Device;

use crate::layer_map::LayerMap;
use crate::loss::contrast::TEMPERATURE;
use crate::loss::soft::SoftLoss;
use crate::selection::Metric;
#[cfg(doc)]
use crate::settings::TrainSettings;
use crate::settings::{
    AttentionLoss, ClassWeights, Freeze, HiddenLoss, OptimizerChoice, Sampling, ScheduleChoice,
    TemperatureSchedule,
};

/// What a plan depends on besides the settings.
#[derive(Clone, Copy, Debug)]
pub struct ModelFacts {
    /// What its logits mean.
    pub problem_type: TaskId,
    /// `C`
    pub num_labels: usize,
    /// Its encoder's layers.
    pub num_layers: usize,
    /// Where it is trained.
    pub device: Device,
}

impl ModelFacts {
    /// Those of a loaded model.
    pub fn of(model: &Model) -> Self {
        let config = model.config();
        ModelFacts {
            problem_type: config.problem_type,
            num_labels: config.labels.num_labels(),
            num_layers: config.num_hidden_layers,
            device: model.device(),
        }
    }
}

/// How one model is trained. [`TrainSettings::resolve`] makes it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrainPlan {
    /// What the model's logits mean.
    pub problem_type: TaskId,
    /// Passes over the training rows.
    pub epochs: u32,
    /// Rows a step.
    pub batch_size: usize,
    /// Most tokens of a training pass; none where a step must be one pass.
    pub pass_tokens: Option<u64>,
    /// Most tokens of a batch of the validation part.
    pub evaluation_tokens: u64,
    /// The learning rate over the run.
    pub learning_rate: LearningRatePlan,
    /// What turns gradients into steps.
    pub optimizer: OptimizerPlan,
    /// Decay of the running mean of the weights, if there is one.
    pub ema_decay: Option<f64>,
    /// Which parameters move.
    pub trainable: Trainable,
    /// Which rows an epoch has.
    pub sampling: Sampling,
    /// What is minimized.
    pub loss: LossPlan,
    /// The metric that selects the best epoch; none if epochs cannot be compared and the last one is kept.
    pub selection: Option<Metric>,
    /// Epochs without a better validation metric after which training stops, if ever.
    pub early_stopping_patience: Option<u32>,
    /// Steps between lines in `metrics.jsonl`.
    pub log_every: u64,
    /// When state is saved.
    pub checkpoints: CheckpointPlan,
    /// How sequences are masked, where masked tokens are learned.
    pub masking: Option<Masking>,
    /// Weight of the contrast between sequences, if they are contrasted.
    pub contrast: Option<f64>,
}

impl TrainPlan {
    /// The loss as it is computed, for people.
    pub fn formula(&self) -> String {
        match &self.masking {
            None => self.loss.formula(),
            Some(masking) => {
                let contrast = self.contrast.map_or(String::new(), |weight| {
                    format!(
                        " + {weight} · CE(cos(first tokens, first tokens under other dropout) / {TEMPERATURE})"
                    )
                });
                format!(
                    "loss = {} · CE(logits at masked places, the tokens there){contrast} [{} masking of {} %]",
                    self.loss.labels.weight,
                    masking.kind.name(),
                    100.0 * masking.probability
                )
            }
        }
    }
}

/// The learning rate over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRatePlan {
    /// Its peak.
    pub peak: f64,
    /// Its course after the warmup.
    pub schedule: ScheduleChoice,
    /// Share of all steps in which it rises from 0.
    pub warmup_ratio: f64,
}

/// What turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerPlan {
    /// The rule.
    pub kind: OptimizerChoice,
    /// Momentum of [`OptimizerChoice::Sgd`].
    pub momentum: f64,
    /// Weight decay; biases and norms never decay.
    pub weight_decay: f64,
    /// Gradients are scaled down to this joint norm.
    pub max_grad_norm: f64,
}

/// Which parameters move, and how fast compared with the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trainable {
    /// What is not trained.
    pub freeze: Freeze,
    /// Layers from the last one down that move, if not all do.
    pub last_layers: Option<usize>,
    /// Whether a layer more moves with each epoch, from the last one down.
    pub gradual_unfreezing: bool,
    /// What the learning rate of pooler and head is multiplied by.
    pub head_factor: f64,
    /// Factor of the learning rate from a layer to the one below it.
    pub layer_decay: f64,
}

/// The terms of a loss.
#[derive(Clone, Debug, PartialEq)]
pub struct LossPlan {
    /// Comparison with the labels.
    pub labels: LabelTerm,
    /// Comparison with the teacher's logits.
    pub soft: SoftTerm,
    /// Comparison of what happens inside student and teacher.
    pub intermediate: IntermediateTerms,
}

impl LossPlan {
    /// Whether anything is learned from a teacher.
    pub fn has_teacher(&self) -> bool {
        self.soft.weight > 0.0 || self.intermediate.any()
    }
}

/// Comparison with the labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelTerm {
    /// What it is multiplied by; at 0 it is not computed in training.
    pub weight: f64,
    /// How logits are compared.
    pub loss: LabelLoss,
    /// Share of a label's weight that is spread over all labels.
    pub smoothing: f64,
    /// What each class is multiplied by.
    pub class_weights: ClassWeights,
}

/// How logits are compared with labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelLoss {
    /// Cross-entropy of one class a row.
    CrossEntropy,
    /// One class a row as yes or no for each label.
    BinaryOfClass,
    /// Yes or no for each label.
    Binary,
    /// Squared error of a number.
    SquaredError,
}

/// Comparison with the teacher's logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftTerm {
    /// What it is multiplied by; at 0 it is not computed in training.
    pub weight: f64,
    /// The comparison.
    pub loss: SoftLoss,
    /// Whether each row's logits are centred and scaled first.
    pub standardize: bool,
    /// `T` over the run.
    pub temperature: TemperaturePlan,
}

/// `T` over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemperaturePlan {
    /// At the first step.
    pub start: f64,
    /// At the last step, unless it is fixed.
    pub end: f64,
    /// Its course.
    pub schedule: TemperatureSchedule,
}

/// Comparisons inside student and teacher; a weight of 0 leaves one out.
#[derive(Clone, Debug, PartialEq)]
pub struct IntermediateTerms {
    /// Weight of the states after each layer.
    pub hidden_weight: f64,
    /// How states are compared.
    pub hidden_loss: HiddenLoss,
    /// Weight of attention.
    pub attention_weight: f64,
    /// How attention is compared.
    pub attention_loss: AttentionLoss,
    /// Layers whose states and attention are compared.
    pub layer_map: LayerMap,
    /// Weight of the relations of queries to keys and values to values.
    pub relation_weight: f64,
    /// Heads that they are split into; none: as many as the teacher has.
    pub relation_heads: Option<i64>,
    /// Layers whose relations are compared.
    pub relation_map: LayerMap,
}

impl IntermediateTerms {
    /// Whether there is any.
    pub fn any(&self) -> bool {
        [self.hidden_weight, self.attention_weight, self.relation_weight].iter().any(|weight| *weight > 0.0)
    }
}

/// When state is saved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckpointPlan {
    /// Every N steps.
    pub every_steps: Option<u64>,
    /// After this much time.
    pub every: Option<Duration>,
    /// Checkpoints that stay, the newest.
    pub keep_last: usize,
}
