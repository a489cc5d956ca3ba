//! What a training run can be told. `[finetune]` and `[student]` take the same names.

use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// Settings of one training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Passes over the training rows.
    pub epochs: u32,
    /// Rows a step. The loss is averaged over them.
    pub batch_size: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Share of all steps in which the learning rate rises from 0 to its peak; it then falls to 0.
    pub warmup_ratio: f64,
    /// Decoupled weight decay; biases and norms never decay.
    pub weight_decay: f64,
    /// Gradients are scaled down to this joint norm.
    pub max_grad_norm: f64,
    /// `T`: softens the teacher's and the student's logits in the soft loss.
    pub temperature: f64,
    /// Weight of cross-entropy with the labels.
    pub hard_weight: f64,
    /// Weight of `T² · KL(teacher ‖ student)`. 0: no teacher.
    pub soft_weight: f64,
    /// Epochs without a better validation metric after which training stops; 0: never.
    pub early_stopping_patience: u32,
    /// What the best checkpoint is chosen by on the validation part.
    pub best_metric: BestMetric,
    /// A line in `metrics.jsonl` every so many steps.
    pub log_every: u64,
    /// A checkpoint every so many steps; 0: none by steps.
    pub checkpoint_steps: u64,
    /// A checkpoint every so many minutes; 0: none by time.
    pub checkpoint_minutes: f64,
    /// Checkpoints that stay, the newest.
    pub keep_last: usize,
}

/// What the best checkpoint is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BestMetric {
    /// Share of labelled rows whose label is predicted; equal ones are told apart by the loss.
    Accuracy,
    /// The training loss without dropout.
    Loss,
}

impl Default for TrainSettings {
    fn default() -> Self {
        TrainSettings {
            epochs: 3,
            batch_size: 32,
            learning_rate: 5e-5,
            warmup_ratio: 0.1,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            temperature: 2.0,
            hard_weight: 0.5,
            soft_weight: 0.5,
            early_stopping_patience: 0,
            best_metric: BestMetric::Accuracy,
            log_every: 10,
            checkpoint_steps: 0,
            checkpoint_minutes: 5.0,
            keep_last: 1,
        }
    }
}

impl TrainSettings {
    /// The same settings for labels alone: fine-tuning, or a student without a teacher.
    pub fn without_teacher(&self) -> Self {
        TrainSettings { hard_weight: 1.0, soft_weight: 0.0, ..self.clone() }
    }

    /// Checks what types cannot: signs, ranges and that the loss is not empty.
    ///
    /// # Errors
    /// [`TrainError::Setting`] naming the field.
    pub fn check(&self) -> Result<(), TrainError> {
        let positive = |field, value: f64| refuse(field, value, value > 0.0 && value.is_finite(), "above 0");
        let weight = |field, value: f64| refuse(field, value, value >= 0.0 && value.is_finite(), "at least 0");
        positive("learning_rate", self.learning_rate)?;
        positive("max_grad_norm", self.max_grad_norm)?;
        positive("temperature", self.temperature)?;
        weight("hard_weight", self.hard_weight)?;
        weight("soft_weight", self.soft_weight)?;
        weight("weight_decay", self.weight_decay)?;
        refuse("warmup_ratio", self.warmup_ratio, (0.0..=1.0).contains(&self.warmup_ratio), "from 0 to 1")?;
        refuse("epochs", self.epochs, self.epochs >= 1, "at least 1")?;
        refuse("batch_size", self.batch_size, self.batch_size >= 1, "at least 1")?;
        let minutes = self.checkpoint_minutes;
        refuse("checkpoint_minutes", minutes, (0.0..=1e6).contains(&minutes), "from 0 to 1000000")?;
        refuse("keep_last", self.keep_last, self.keep_last >= 1, "at least 1")?;
        refuse("log_every", self.log_every, self.log_every >= 1, "at least 1")?;
        let empty = self.hard_weight == 0.0 && self.soft_weight == 0.0;
        refuse("hard_weight and soft_weight", "0", !empty, "above 0, at least one of them")
    }

    /// The loss of this run as it is computed, for people.
    pub fn formula(&self) -> String {
        let number = |value: f64| format!("{value}");
        let hard = format!("{} · CE(student_logits, labels)", number(self.hard_weight));
        let t = number(self.temperature);
        let soft = format!(
            "{} · {} · KL(softmax(teacher_logits/{t}) ‖ softmax(student_logits/{t}))",
            number(self.soft_weight),
            number(self.temperature * self.temperature),
        );
        match (self.hard_weight > 0.0, self.soft_weight > 0.0) {
            (true, true) => format!("loss = {hard} + {soft}"),
            (true, false) => format!("loss = {hard}"),
            _ => format!("loss = {soft}"),
        }
    }
}

fn refuse(
    field: &'static str,
    value: impl ToString,
    fits: bool,
    expected: &'static str,
) -> Result<(), TrainError> {
    if fits { Ok(()) } else { Err(TrainError::Setting { field, value: value.to_string(), expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_loss_are_refused_by_name() {
        let base = TrainSettings::default();
        let bad = [
            (TrainSettings { temperature: 0.0, ..base.clone() }, "temperature"),
            (TrainSettings { temperature: f64::NAN, ..base.clone() }, "temperature"),
            (TrainSettings { hard_weight: -1.0, ..base.clone() }, "hard_weight"),
            (
                TrainSettings { hard_weight: 0.0, soft_weight: 0.0, ..base.clone() },
                "hard_weight and soft_weight",
            ),
            (TrainSettings { epochs: 0, ..base.clone() }, "epochs"),
            (TrainSettings { warmup_ratio: 1.5, ..base.clone() }, "warmup_ratio"),
        ];
        for (settings, field) in bad {
            let text = settings.check().unwrap_err().to_string();
            assert!(text.starts_with(field), "{text}");
        }
        base.check().unwrap();
    }

    #[test]
    fn the_formula_shows_only_what_is_computed() {
        let base = TrainSettings { hard_weight: 0.1, soft_weight: 0.9, ..TrainSettings::default() };
        assert_eq!(
            base.formula(),
            "loss = 0.1 · CE(student_logits, labels) + 0.9 · 4 · KL(softmax(teacher_logits/2) ‖ softmax(student_logits/2))"
        );
        assert_eq!(base.without_teacher().formula(), "loss = 1 · CE(student_logits, labels)");
    }
}
