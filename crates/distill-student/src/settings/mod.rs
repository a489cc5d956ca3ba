//! The settings of a training run. `[finetune]` and `[student]` take the same names.

pub(crate) mod check;
mod choices;
mod problem;

use serde::{Deserialize, Serialize};

use crate::layer_map::LayerMap;

pub use choices::{
    AttentionLoss, BestMetric, ClassWeightRule, ClassWeights, Freeze, HiddenLoss, LossChoice, OptimizerChoice,
    Sampling, ScheduleChoice, TemperatureSchedule,
};

/// Settings of one training run. Every field has a value, so that a table's keys are known from the
/// defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Passes over the training rows.
    pub epochs: u32,
    /// Rows a step. The loss is averaged over them.
    pub batch_size: usize,
    /// Tokens of one pass at most, in validation too; a step's rows beyond them go in further passes, whose gradients are
    /// accumulated. 0: what suits the device.
    pub batch_tokens: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Peak learning rate of pooler and head; 0: that of the others.
    pub head_learning_rate: f64,
    /// Factor of the learning rate from a layer to the one below it.
    pub layer_decay: f64,
    /// Course of the learning rate.
    pub schedule: ScheduleChoice,
    /// Share of all steps in which the learning rate rises from 0 to its peak.
    pub warmup_ratio: f64,
    /// What turns gradients into steps.
    pub optimizer: OptimizerChoice,
    /// Momentum of `sgd`.
    pub momentum: f64,
    /// Weight decay; biases and norms never decay.
    pub weight_decay: f64,
    /// Gradients are scaled down to this joint norm.
    pub max_grad_norm: f64,
    /// Decay of the moving average of the weights, which is validated and kept; 0: none.
    pub ema_decay: f64,
    /// What is not trained.
    pub freeze: Freeze,
    /// Train only this many of the last layers, pooler and head; 0: all layers.
    pub train_last_layers: usize,
    /// Begin with pooler and head, and let one layer more move each epoch, from the last one down.
    pub gradual_unfreezing: bool,
    /// Which rows an epoch has.
    pub sampling: Sampling,
    /// How the student's logits are compared with the teacher's.
    pub loss: LossChoice,
    /// Centre and scale each row's logits before they are compared.
    pub standardize_logits: bool,
    /// `T`: softens the teacher's and the student's logits in the soft loss.
    pub temperature: f64,
    /// Course of the temperature.
    pub temperature_schedule: TemperatureSchedule,
    /// `T` at the end of a course.
    pub temperature_end: f64,
    /// DKD's weight of the target's part.
    pub dkd_alpha: f64,
    /// DKD's weight of the other labels' part.
    pub dkd_beta: f64,
    /// DIST's weight of the correlation by row.
    pub dist_beta: f64,
    /// DIST's weight of the correlation by label.
    pub dist_gamma: f64,
    /// Weight of cross-entropy with the labels.
    pub hard_weight: f64,
    /// Weight of the soft loss. 0: no soft targets.
    pub soft_weight: f64,
    /// Weight of the states after each layer, compared with the teacher's. 0: they are not.
    pub hidden_weight: f64,
    /// How they are compared.
    pub hidden_loss: HiddenLoss,
    /// Weight of attention, compared with the teacher's. 0: it is not.
    pub attention_weight: f64,
    /// How it is compared.
    pub attention_loss: AttentionLoss,
    /// Weight of the relations of queries to keys and values to values. 0: they are not compared.
    pub relation_weight: f64,
    /// Heads that queries, keys and values are split into for their relations; 0: as many as the teacher has.
    pub relation_heads: usize,
    /// Layers whose states and attention are compared.
    pub layer_map: LayerMap,
    /// Layers whose relations are compared.
    pub relation_map: LayerMap,
    /// Share of a label's weight that is spread over all labels.
    pub label_smoothing: f64,
    /// What each class's cross-entropy is multiplied by.
    pub class_weights: ClassWeights,
    /// Epochs without a better validation metric after which training stops; 0: never.
    pub early_stopping_patience: u32,
    /// What the best checkpoint is chosen by on the validation part.
    pub best_metric: BestMetric,
    /// Steps between lines in `metrics.jsonl`.
    pub log_every: u64,
    /// Steps between checkpoints; 0: none by steps.
    pub checkpoint_steps: u64,
    /// Minutes between checkpoints; 0: none by time.
    pub checkpoint_minutes: f64,
    /// Checkpoints that stay, the newest.
    pub keep_last: usize,
}

impl Default for TrainSettings {
    fn default() -> Self {
        TrainSettings {
            epochs: 3,
            batch_size: 32,
            batch_tokens: 0,
            learning_rate: 5e-5,
            head_learning_rate: 0.0,
            layer_decay: 1.0,
            schedule: ScheduleChoice::Linear,
            warmup_ratio: 0.1,
            optimizer: OptimizerChoice::Adamw,
            momentum: 0.9,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            ema_decay: 0.0,
            freeze: Freeze::None,
            train_last_layers: 0,
            gradual_unfreezing: false,
            sampling: Sampling::Uniform,
            loss: LossChoice::Auto,
            standardize_logits: false,
            temperature: 2.0,
            temperature_schedule: TemperatureSchedule::Fixed,
            temperature_end: 1.0,
            dkd_alpha: 1.0,
            dkd_beta: 8.0,
            dist_beta: 1.0,
            dist_gamma: 1.0,
            hard_weight: 0.5,
            soft_weight: 0.5,
            hidden_weight: 0.0,
            hidden_loss: HiddenLoss::Mse,
            attention_weight: 0.0,
            attention_loss: AttentionLoss::Kl,
            relation_weight: 0.0,
            relation_heads: 0,
            layer_map: LayerMap::Uniform,
            relation_map: LayerMap::Top,
            label_smoothing: 0.0,
            class_weights: ClassWeights::Rule(ClassWeightRule::None),
            early_stopping_patience: 0,
            best_metric: BestMetric::Auto,
            log_every: 10,
            checkpoint_steps: 0,
            checkpoint_minutes: 5.0,
            keep_last: 1,
        }
    }
}

impl TrainSettings {
    /// The same settings without a teacher: fine-tuning, or a student without a teacher.
    pub fn without_teacher(&self) -> Self {
        TrainSettings {
            hard_weight: 1.0,
            soft_weight: 0.0,
            hidden_weight: 0.0,
            attention_weight: 0.0,
            relation_weight: 0.0,
            ..self.clone()
        }
    }

    /// Whether anything is learned from a teacher.
    pub fn has_teacher(&self) -> bool {
        self.soft_weight > 0.0 || self.has_intermediate_losses()
    }

    /// Whether neither labels nor soft targets train the head: then no validation figure can compare epochs.
    pub fn learns_intermediate_alone(&self) -> bool {
        self.hard_weight == 0.0 && self.soft_weight == 0.0
    }

    /// Whether the teacher runs next to the student, because intermediate layers are compared.
    pub fn has_intermediate_losses(&self) -> bool {
        [self.hidden_weight, self.attention_weight, self.relation_weight].iter().any(|weight| *weight > 0.0)
    }
}
