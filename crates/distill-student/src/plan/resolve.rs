//! From settings to the plan of a run.

use std::time::Duration;

use distill_data::masking::{Masking, MaskingKind};
use distill_task::{Activation, TaskId};
use distill_teacher::forward::default_batch_tokens;
use tch::Device;

use super::{
    CheckpointPlan, IntermediateTerms, LabelLoss, LabelTerm, LearningRatePlan, LossPlan, ModelFacts,
    OptimizerPlan, SoftTerm, TemperaturePlan, TrainPlan, Trainable,
};
use crate::error::TrainError;
use crate::loss::soft::SoftLoss;
use crate::settings::TrainSettings;
use crate::settings::check::refuse;

/// Tokens of one training pass where nothing else is asked for: ordinary batches are not cut, and what a
/// backward pass keeps stays within some gigabytes.
fn default_pass_tokens(device: Device) -> u64 {
    if device.is_cuda() { 32_768 } else { 8_192 }
}

impl TrainSettings {
    /// The plan for a model.
    ///
    /// # Errors
    /// [`TrainError::Setting`] or [`TrainError::TwoLabels`] for what makes no sense by itself, for this kind of label, or for
    /// this number of labels and layers.
    pub fn resolve(&self, model: &ModelFacts) -> Result<TrainPlan, TrainError> {
        let problem_type = model.problem_type;
        let settings = self.for_problem(problem_type)?;
        settings.check_model(problem_type.competing(model.num_labels), model.num_layers)?;
        let loss = settings.loss_plan(problem_type);
        let whole_batches = loss.soft.loss.needs_whole_batch() && loss.soft.weight > 0.0;
        let given = Some(settings.batch_tokens).filter(|tokens| *tokens > 0);
        let pass_tokens = given.unwrap_or_else(|| default_pass_tokens(model.device));
        let metric = settings.best_metric.resolve(problem_type);
        Ok(TrainPlan {
            problem_type,
            epochs: settings.epochs,
            batch_size: settings.batch_size,
            pass_tokens: Some(pass_tokens).filter(|_| !whole_batches),
            // Where little is asked for in training because memory is little, validation keeps to it too.
            evaluation_tokens: given.unwrap_or_else(|| default_batch_tokens(model.device)),
            learning_rate: LearningRatePlan {
                peak: settings.learning_rate,
                schedule: settings.schedule,
                warmup_ratio: settings.warmup_ratio,
            },
            optimizer: OptimizerPlan {
                kind: settings.optimizer,
                momentum: settings.momentum,
                weight_decay: settings.weight_decay,
                max_grad_norm: settings.max_grad_norm,
            },
            ema_decay: Some(settings.ema_decay).filter(|decay| *decay > 0.0),
            trainable: settings.trainable(),
            sampling: settings.sampling,
            selection: Some(metric).filter(|_| !settings.learns_intermediate_alone()),
            loss,
            early_stopping_patience: Some(settings.early_stopping_patience).filter(|epochs| *epochs > 0),
            log_every: settings.log_every,
            checkpoints: CheckpointPlan {
                every_steps: Some(settings.checkpoint_steps).filter(|steps| *steps > 0),
                every: Some(Duration::from_secs_f64(settings.checkpoint_minutes * 60.0))
                    .filter(|time| !time.is_zero()),
                keep_last: settings.keep_last,
            },
            masking: None,
            contrast: None,
        })
    }

    /// The plan for a masked language model; `contrast` is the weight of the contrast between sequences, 0 for none.
    ///
    /// # Errors
    /// As [`TrainSettings::resolve`]; [`TrainError::Setting`] for a share of masked tokens that is none, and for words that
    /// the vocabulary does not tell apart.
    pub fn resolve_masked(
        &self,
        model: &ModelFacts,
        masking: Masking,
        contrast: f64,
    ) -> Result<TrainPlan, TrainError> {
        check_masking(&masking)?;
        self.check_contrast(contrast)?;
        let contrast = Some(contrast).filter(|weight| *weight > 0.0);
        let plan = self.resolve(model)?;
        // A sequence is contrasted with all others of its step.
        let pass_tokens = plan.pass_tokens.filter(|_| contrast.is_none());
        Ok(TrainPlan { masking: Some(masking), contrast, pass_tokens, ..plan })
    }

    /// Whether sequences can be contrasted with this weight; at 0 they are not.
    ///
    /// # Errors
    /// [`TrainError::Setting`]
    pub fn check_contrast(&self, weight: f64) -> Result<(), TrainError> {
        refuse("objectives.simcse", weight, weight >= 0.0 && weight.is_finite(), "at least 0")?;
        if weight == 0.0 {
            return Ok(());
        }
        refuse(
            "batch_size",
            "1 with objectives.simcse",
            self.batch_size > 1,
            "at least 2: a sequence is contrasted with the others of its step",
        )?;
        refuse(
            "batch_tokens",
            format!("{} with objectives.simcse", self.batch_tokens),
            self.batch_tokens == 0,
            "0: a step of contrasted sequences cannot be split",
        )
    }

    /// Which parameters move.
    pub(crate) fn trainable(&self) -> Trainable {
        let head = self.head_learning_rate;
        Trainable {
            freeze: self.freeze,
            last_layers: Some(self.train_last_layers).filter(|layers| *layers > 0),
            gradual_unfreezing: self.gradual_unfreezing,
            head_factor: if head > 0.0 { head / self.learning_rate } else { 1.0 },
            layer_decay: self.layer_decay,
        }
    }

    /// The loss with its parameters, for labels of this kind.
    pub fn loss_plan(&self, problem_type: TaskId) -> LossPlan {
        let loss = self.loss.resolve(self, problem_type);
        LossPlan {
            labels: LabelTerm {
                weight: self.hard_weight,
                loss: label_loss(problem_type, loss),
                smoothing: self.label_smoothing,
                class_weights: self.class_weights.clone(),
            },
            soft: SoftTerm {
                weight: self.soft_weight,
                loss,
                standardize: self.standardize_logits,
                temperature: TemperaturePlan {
                    start: self.temperature,
                    end: self.temperature_end,
                    schedule: self.temperature_schedule,
                },
            },
            intermediate: IntermediateTerms {
                hidden_weight: self.hidden_weight,
                hidden_loss: self.hidden_loss,
                attention_weight: self.attention_weight,
                attention_loss: self.attention_loss,
                layer_map: self.layer_map.clone(),
                relation_weight: self.relation_weight,
                relation_heads: Some(i64::try_from(self.relation_heads).unwrap_or(i64::MAX))
                    .filter(|heads| *heads > 0),
                relation_map: self.relation_map.clone(),
            },
        }
    }
}

/// Whether sequences can be masked so.
///
/// # Errors
/// [`TrainError::Setting`]
pub fn check_masking(masking: &Masking) -> Result<(), TrainError> {
    let (share, kind) = (masking.probability, masking.kind);
    refuse("mask_probability", share, share > 0.0 && share < 1.0, "above 0 and below 1")?;
    refuse(
        "masking",
        format!("{:?}", kind.name()),
        kind == MaskingKind::Token || masking.vocabulary.knows_words(),
        "\"token\": no token of this vocabulary is marked as the beginning of a word",
    )
}

fn label_loss(problem_type: TaskId, soft: SoftLoss) -> LabelLoss {
    match problem_type.activation() {
        Activation::Softmax if soft.activation() == Activation::Sigmoid => LabelLoss::BinaryOfClass,
        Activation::Softmax => LabelLoss::CrossEntropy,
        Activation::Sigmoid => LabelLoss::Binary,
        Activation::Identity => LabelLoss::SquaredError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::soft::{LogitMse, SigmoidKl};
    use crate::selection::Metric;

    fn facts(problem_type: TaskId) -> ModelFacts {
        ModelFacts { problem_type, num_labels: 3, num_layers: 3, device: Device::Cpu }
    }

    /// A caller of the library who leaves everything at its default must not get a softmax for several labels a row.
    #[test]
    fn default_settings_resolve_to_the_loss_of_each_kind_of_label() {
        let of = |problem_type| {
            let plan = TrainSettings::default().resolve(&facts(problem_type)).unwrap();
            (plan.loss.soft.loss, plan.loss.labels.loss, plan.selection)
        };
        let several = (SoftLoss::Bce(SigmoidKl), LabelLoss::Binary, Some(Metric::MicroF1));
        assert_eq!(of(TaskId::MULTI_LABEL), several);
        let number = (SoftLoss::Mse(LogitMse), LabelLoss::SquaredError, Some(Metric::Mse));
        assert_eq!(of(TaskId::REGRESSION), number);
        assert_eq!(of(TaskId::SINGLE_LABEL).1, LabelLoss::CrossEntropy);
    }

    #[test]
    fn zero_means_none_or_the_default_of_the_device() {
        let plan = TrainSettings::default().resolve(&facts(TaskId::SINGLE_LABEL)).unwrap();
        assert_eq!((plan.pass_tokens, plan.ema_decay, plan.trainable.last_layers), (Some(8_192), None, None));
        assert_eq!((plan.early_stopping_patience, plan.checkpoints.every_steps), (None, None));
        assert_eq!(plan.trainable.head_factor, 1.0);
        let few = TrainSettings { batch_tokens: 64, ..TrainSettings::default() };
        let plan = few.resolve(&facts(TaskId::SINGLE_LABEL)).unwrap();
        assert_eq!((plan.pass_tokens, plan.evaluation_tokens), (Some(64), 64));
    }

    #[test]
    fn a_loss_that_correlates_a_batch_has_no_smaller_passes() {
        use crate::settings::LossChoice;
        let dist = TrainSettings { loss: LossChoice::Dist, ..TrainSettings::default() };
        assert_eq!(dist.resolve(&facts(TaskId::SINGLE_LABEL)).unwrap().pass_tokens, None);
        let labels_alone = dist.without_teacher();
        assert!(labels_alone.resolve(&facts(TaskId::SINGLE_LABEL)).unwrap().pass_tokens.is_some());
    }

    #[test]
    fn what_does_not_go_with_the_model_is_refused() {
        let deep = TrainSettings { train_last_layers: 4, ..TrainSettings::default() };
        assert!(deep.resolve(&facts(TaskId::SINGLE_LABEL)).is_err());
    }
}
