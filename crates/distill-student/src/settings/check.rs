//! What types cannot check: signs, ranges, and settings that contradict each other.

use std::borrow::Cow;

use distill_task::TaskId;

use super::{ClassWeights, Freeze, TemperatureSchedule, TrainSettings};
use crate::error::TrainError;
use crate::loss::soft::SoftLoss;

/// Beyond these, what is left of logits in f32 is their largest, or nothing: T² and the division lose the rest.
const TEMPERATURES: (f64, f64) = (0.01, 1000.0);

impl TrainSettings {
    /// Checks signs, ranges, that the loss is not empty, and that no setting excludes another.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the field.
    pub fn check(&self) -> Result<(), TrainError> {
        self.check_numbers()?;
        self.check_loss()?;
        self.check_what_moves()
    }

    fn check_numbers(&self) -> Result<(), TrainError> {
        let positive = |field, value: f64| refuse(field, value, value > 0.0 && value.is_finite(), "above 0");
        let share = |field, value: f64| refuse(field, value, (0.0..1.0).contains(&value), "from 0 to below 1");
        positive("learning_rate", self.learning_rate)?;
        positive("max_grad_norm", self.max_grad_norm)?;
        for (field, value) in [("temperature", self.temperature), ("temperature_end", self.temperature_end)] {
            let (least, most) = TEMPERATURES;
            refuse(field, value, (least..=most).contains(&value), "from 0.01 to 1000")?;
        }
        for (field, value) in [
            ("hard_weight", self.hard_weight),
            ("soft_weight", self.soft_weight),
            ("hidden_weight", self.hidden_weight),
            ("attention_weight", self.attention_weight),
            ("relation_weight", self.relation_weight),
            ("weight_decay", self.weight_decay),
            ("head_learning_rate", self.head_learning_rate),
            ("dkd_alpha", self.dkd_alpha),
            ("dkd_beta", self.dkd_beta),
            ("dist_beta", self.dist_beta),
            ("dist_gamma", self.dist_gamma),
        ] {
            refuse(field, value, value >= 0.0 && value.is_finite(), "at least 0")?;
        }
        share("momentum", self.momentum)?;
        share("ema_decay", self.ema_decay)?;
        share("label_smoothing", self.label_smoothing)?;
        let decay = self.layer_decay;
        refuse("layer_decay", decay, decay > 0.0 && decay <= 1.0, "above 0, at most 1")?;
        refuse("warmup_ratio", self.warmup_ratio, (0.0..=1.0).contains(&self.warmup_ratio), "from 0 to 1")?;
        refuse("epochs", self.epochs, self.epochs >= 1, "at least 1")?;
        refuse("batch_size", self.batch_size, self.batch_size >= 1, "at least 1")?;
        let minutes = self.checkpoint_minutes;
        refuse("checkpoint_minutes", minutes, (0.0..=1e6).contains(&minutes), "from 0 to 1000000")?;
        refuse("keep_last", self.keep_last, self.keep_last >= 1, "at least 1")?;
        refuse("log_every", self.log_every, self.log_every >= 1, "at least 1")
    }

    fn check_loss(&self) -> Result<(), TrainError> {
        let empty = self.hard_weight == 0.0 && !self.has_teacher();
        refuse(
            "hard_weight and soft_weight",
            "0",
            !empty,
            "above 0, at least one of them, or a loss on intermediate layers",
        )?;
        let loss = self.loss_by_itself();
        let name = loss.name();
        if let Some((fields, weights)) = loss.weights() {
            let expected = "above 0, at least one of them";
            refuse(fields, "0", weights.iter().any(|weight| *weight > 0.0), expected)?;
        }
        let scheduled = self.temperature_schedule != TemperatureSchedule::Fixed;
        refuse(
            "temperature_schedule",
            word(self.temperature_schedule),
            !scheduled || loss.has_temperature(),
            "\"fixed\" with loss \"mse\", which has no temperature",
        )?;
        refuse(
            "standardize_logits",
            format!("true with loss {name:?}"),
            !self.standardize_logits || loss.takes_standardized(),
            "false, or one of the losses \"kl\", \"reverse_kl\", \"js\", \"dkd\"",
        )?;
        self.check_batch(&loss)?;
        match &self.class_weights {
            ClassWeights::Given(weights) => refuse(
                "class_weights",
                format!("{weights:?}"),
                weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
                    && weights.iter().any(|weight| *weight > 0.0),
                "numbers of at least 0, not all 0",
            ),
            ClassWeights::Rule(_) => Ok(()),
        }
    }

    /// The loss, which `auto` is for one class a row: what depends on the kind of label is checked later.
    fn loss_by_itself(&self) -> SoftLoss {
        self.loss.resolve(self, TaskId::default())
    }

    fn check_batch(&self, loss: &SoftLoss) -> Result<(), TrainError> {
        let correlates = loss.needs_whole_batch() && self.soft_weight > 0.0;
        refuse(
            "batch_tokens",
            format!("{} with loss \"dist\"", self.batch_tokens),
            self.batch_tokens == 0 || !correlates,
            "0: its correlation by label needs the whole batch, which cannot be split",
        )?;
        refuse(
            "batch_size",
            "1 with loss \"dist\"",
            self.batch_size != 1 || !correlates || self.dist_gamma == 0.0,
            "at least 2: its correlation by label is computed over the rows of a batch",
        )
    }

    fn check_what_moves(&self) -> Result<(), TrainError> {
        let frozen = self.freeze == Freeze::Encoder;
        refuse(
            "train_last_layers",
            self.train_last_layers,
            !frozen || self.train_last_layers == 0,
            "0 with freeze \"encoder\", which trains no layer",
        )?;
        refuse(
            "freeze",
            "\"encoder\"",
            !frozen || !self.has_intermediate_losses(),
            "another one with hidden_weight, attention_weight or relation_weight, which train the encoder",
        )?;
        refuse(
            "gradual_unfreezing",
            self.gradual_unfreezing,
            !frozen || !self.gradual_unfreezing,
            "false with freeze \"encoder\", which trains no layer",
        )
    }

    /// Checks what depends on the model: how many labels and layers it has.
    ///
    /// # Errors
    /// As [`TrainSettings::check_labels`]; [`TrainError::Setting`] for more layers than there are.
    pub fn check_model(&self, num_labels: usize, num_layers: usize) -> Result<(), TrainError> {
        self.check_labels(num_labels)?;
        let last = self.train_last_layers;
        let shown = format!("{last}, but the model has {num_layers} layers");
        refuse("train_last_layers", shown, last <= num_layers, "at most as many")
    }

    /// Checks what depends on the number of labels.
    ///
    /// # Errors
    /// [`TrainError::TwoLabels`] for a loss that has nothing to say about two labels;
    /// [`TrainError::Setting`] for class weights of another number.
    pub fn check_labels(&self, num_labels: usize) -> Result<(), TrainError> {
        if self.soft_weight > 0.0 && num_labels <= 2 {
            let two = |field: &str, why| Err(TrainError::TwoLabels { setting: field.to_owned(), why });
            if self.standardize_logits {
                return two("standardize_logits = true", "two standardized logits are always ±1/√2");
            }
            let loss = self.loss_by_itself();
            if let Some(why) = loss.useless_for_two_labels() {
                return two(&format!("loss = {:?}", loss.name()), why);
            }
        }
        if let ClassWeights::Given(weights) = &self.class_weights {
            let shown = format!("{} numbers for {num_labels} labels", weights.len());
            refuse(
                "class_weights",
                shown,
                weights.len() == num_labels,
                "one for each label, in the order of the label map",
            )?;
        }
        Ok(())
    }
}

/// A choice as written in a settings file.
pub(super) fn word(choice: impl serde::Serialize) -> String {
    serde_json::to_value(choice).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

pub(crate) fn refuse(
    field: &'static str,
    value: impl ToString,
    fits: bool,
    expected: impl Into<Cow<'static, str>>,
) -> Result<(), TrainError> {
    if fits {
        return Ok(());
    }
    Err(TrainError::Setting { field, value: value.to_string(), expected: expected.into() })
}

#[cfg(test)]
mod tests {
    use super::super::LossChoice;
    use super::*;

    #[test]
    fn settings_that_make_no_loss_are_refused_by_name() {
        let base = TrainSettings::default();
        let bad = [
            (TrainSettings { temperature: 0.0, ..base.clone() }, "temperature"),
            (TrainSettings { temperature: f64::NAN, ..base.clone() }, "temperature"),
            (TrainSettings { temperature: 1e-30, ..base.clone() }, "temperature is 0.0"),
            (TrainSettings { temperature_end: 1e30, ..base.clone() }, "temperature_end"),
            (TrainSettings { hard_weight: -1.0, ..base.clone() }, "hard_weight"),
            (
                TrainSettings { hard_weight: 0.0, soft_weight: 0.0, ..base.clone() },
                "hard_weight and soft_weight",
            ),
            (TrainSettings { epochs: 0, ..base.clone() }, "epochs"),
            (TrainSettings { warmup_ratio: 1.5, ..base.clone() }, "warmup_ratio"),
            (TrainSettings { ema_decay: 1.0, ..base.clone() }, "ema_decay"),
            (TrainSettings { layer_decay: 0.0, ..base.clone() }, "layer_decay"),
            (
                TrainSettings { class_weights: ClassWeights::Given(vec![0.0, 0.0]), ..base.clone() },
                "class_weights",
            ),
        ];
        for (settings, field) in bad {
            let text = settings.check().unwrap_err().to_string();
            assert!(text.starts_with(field), "{text}");
        }
        base.check().unwrap();
        for temperature in [0.01, 1000.0] {
            TrainSettings { temperature, ..base.clone() }.check().unwrap();
        }
    }

    #[test]
    fn settings_that_exclude_each_other_are_refused() {
        let base = TrainSettings::default();
        let bad = [
            (TrainSettings { standardize_logits: true, loss: LossChoice::Mse, ..base.clone() }, "\"mse\""),
            (
                TrainSettings {
                    temperature_schedule: TemperatureSchedule::Linear,
                    loss: LossChoice::Mse,
                    ..base.clone()
                },
                "no temperature",
            ),
            (
                TrainSettings { freeze: Freeze::Encoder, train_last_layers: 2, ..base.clone() },
                "trains no layer",
            ),
        ];
        for (settings, part) in bad {
            let text = settings.check().unwrap_err().to_string();
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn losses_that_need_three_labels_say_why_two_are_too_few() {
        let base = TrainSettings::default();
        for (settings, part) in [
            (TrainSettings { loss: LossChoice::Dkd, ..base.clone() }, "loss = \"dkd\""),
            (TrainSettings { loss: LossChoice::Dist, ..base.clone() }, "perfectly correlated"),
            (TrainSettings { standardize_logits: true, ..base.clone() }, "standardize_logits"),
        ] {
            let text = settings.check_model(2, 3).unwrap_err().to_string();
            assert!(text.contains(part) && text.contains("two labels"), "{text}");
            settings.check_model(3, 3).unwrap();
            settings.without_teacher().check_model(2, 3).unwrap();
        }
        let many = TrainSettings { train_last_layers: 4, ..base.clone() };
        assert!(many.check_model(3, 3).unwrap_err().to_string().contains("3 layers"));
        let given = TrainSettings { class_weights: ClassWeights::Given(vec![1.0, 2.0]), ..base };
        assert!(given.check_model(3, 3).unwrap_err().to_string().contains("2 numbers for 3 labels"));
    }
}
