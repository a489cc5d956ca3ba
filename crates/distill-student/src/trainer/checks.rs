//! Whether settings, model and rows go together, before anything is trained.

use distill_task::Positions;

use super::Trainer;
use crate::data::Part;
use crate::error::TrainError;
use crate::param_groups::ParamGroups;
use crate::plan::TrainPlan;
use crate::selection::Metric;
use crate::settings::{ClassWeightRule, ClassWeights, Sampling};

impl Trainer<'_> {
    /// Whether the plan is one for this model and these rows.
    ///
    /// # Errors
    /// [`TrainError::Setting`] or [`TrainError::Rows`].
    pub fn check(&self) -> Result<(), TrainError> {
        let (planned, model) = (self.plan.problem_type, self.model.config().problem_type);
        if planned != model {
            return Err(TrainError::Rows(format!("the plan is for {planned}, but the model is for {model}")));
        }
        if self.plan.masking.is_some() != (planned.positions() == Positions::Masked) {
            return Err(TrainError::Rows(format!(
                "the plan is for {planned}, and does not say how tokens are masked"
            )));
        }
        self.check_contrast()?;
        self.check_rows()?;
        if self.plan.sampling == Sampling::Balanced && self.data.train.labelled() == 0 {
            return Err(TrainError::Setting {
                field: "sampling",
                value: "balanced where no training row has a label".to_owned(),
                expected: "\"uniform\"".into(),
            });
        }
        Ok(())
    }

    /// Without dropout both vectors of a sequence are the same, and there is nothing to learn.
    fn check_contrast(&self) -> Result<(), TrainError> {
        let config = self.model.config();
        if self.plan.contrast.is_some() && config.hidden_dropout == 0.0 && config.attention_dropout == 0.0 {
            return Err(TrainError::Setting {
                field: "objectives.simcse",
                value: "set, but the model's config.json has no dropout".to_owned(),
                expected: "0, or a model with dropout: two passes over a sequence differ by it alone".into(),
            });
        }
        Ok(())
    }

    fn warn_of_two_balances(&self) {
        let TrainPlan { sampling, loss, .. } = self.plan;
        let balanced = loss.labels.class_weights == ClassWeights::Rule(ClassWeightRule::Balanced);
        let weighted = balanced && loss.labels.weight > 0.0;
        if *sampling == Sampling::Balanced && weighted {
            tracing::warn!(
                "sampling = \"balanced\" and class_weights = \"balanced\" both balance the classes: together, a \
                 rare class counts more than a frequent one"
            );
        }
    }

    fn check_rows(&self) -> Result<(), TrainError> {
        let (train, validation) = (&self.data.train, &self.data.validation);
        for (part, name) in [(train, "training"), (validation, "validation")] {
            if part.rows.is_empty() {
                return Err(TrainError::Rows(format!("the {name} part has no rows")));
            }
        }
        if self.plan.masking.is_some() {
            // Texts are their own labels.
            return Ok(());
        }
        self.check_validation()?;
        let unlabelled = train.rows.len() - train.labelled();
        if !self.plan.loss.has_teacher() && unlabelled > 0 {
            return Err(TrainError::Rows(format!(
                "{unlabelled} of {} training rows have no label, and nothing can be learned from them without a \
                 teacher",
                train.rows.len()
            )));
        }
        Ok(())
    }

    /// The validation part must say something of an epoch: without labels and soft targets all are alike.
    fn check_validation(&self) -> Result<(), TrainError> {
        let validation = &self.data.validation;
        let outputs = self.model.config().labels.num_labels();
        let has_teacher = check_soft_targets(validation, outputs).is_ok();
        if !has_teacher && validation.labelled() == 0 {
            return Err(TrainError::Rows(
                "no validation row has a label, so epochs cannot be compared (is the label column right?)"
                    .to_owned(),
            ));
        }
        if !has_teacher && self.plan.selection == Some(Metric::Agreement) {
            return Err(TrainError::Setting {
                field: "best_metric",
                value: "agreement, but the validation part has no soft targets".to_owned(),
                expected: "a metric of labels".into(),
            });
        }
        Ok(())
    }

    /// Few rows choose the epoch by chance.
    fn warn_of_few_rows(&self) {
        /// Below this number, one row is more than 2 points of accuracy.
        const FEW: usize = 50;
        let (train, validation) = (self.data.train.rows.len(), self.data.validation.rows.len());
        if self.plan.masking.is_none() && validation < FEW && train >= 20 * validation.max(FEW / 2) {
            tracing::warn!(
                "only {validation} rows select the best epoch, for {train} training rows, because only labelled \
                 rows are set aside; a validation file or more labels would be more reliable"
            );
        }
    }

    /// Says what too few epochs of gradual unfreezing never reach.
    fn warn_of_frozen_layers(&self) {
        let (config, epochs) = (self.model.config(), self.plan.epochs);
        let groups = ParamGroups::new(self.plan.trainable, config.architecture, config.num_hidden_layers);
        let needed = groups.epochs_to_reach_all();
        if (epochs as usize) < needed {
            tracing::warn!(
                "gradual_unfreezing needs one epoch for each part: with {epochs} instead of {needed} epochs, the \
                 lowest parts are never trained"
            );
        }
    }

    /// Warns about comparisons of layers that are not trained.
    fn warn_of_frozen_comparisons(&self) {
        let terms = &self.plan.loss.intermediate;
        // Layers that share their weights move together.
        let apart = !self.model.config().architecture.layers.is_empty();
        let last_layers = self.plan.trainable.last_layers.filter(|_| apart);
        let Some((teacher, last_layers)) = self.teacher.zip(last_layers) else { return };
        let [own, theirs] = [self.model, teacher].map(|model| model.config().num_hidden_layers);
        let first_moving = own.saturating_sub(last_layers);
        let by_layers = terms.hidden_weight + terms.attention_weight;
        for (weight, map, name) in [
            (by_layers, &terms.layer_map, "layer_map"),
            (terms.relation_weight, &terms.relation_map, "relation_map"),
        ] {
            let pairs = map.pairs(own, theirs).unwrap_or_default();
            let idle = pairs.iter().filter(|(layer, _)| weight > 0.0 && *layer < first_moving).count();
            if idle > 0 {
                tracing::warn!(
                    "{name}: {idle} of {} comparisons are of layers that train_last_layers = {last_layers} does not \
                     train: they add to the loss without effect",
                    pairs.len(),
                );
            }
        }
    }

    /// What may be meant so, and is often not.
    pub(super) fn warn(&self) {
        self.warn_of_frozen_comparisons();
        self.warn_of_two_balances();
        self.warn_of_few_rows();
        self.warn_of_frozen_layers();
    }
}

/// Checks that every row of a part has `num_labels` soft targets, or so many for each of its words.
///
/// # Errors
/// [`TrainError::Rows`] naming the first row that has not.
pub fn check_soft_targets(part: &Part, num_labels: usize) -> Result<(), TrainError> {
    match part.iter().find(|example| example.logits.len() != num_labels * example.predictions()) {
        None => Ok(()),
        Some(example) => {
            let found = example.logits.len();
            let of = match example.positions.len() {
                0 => String::new(),
                words => format!(" of each of {words} words"),
            };
            Err(TrainError::Rows(format!(
                "row {}: {found} soft targets for {num_labels} labels{of}",
                example.row
            )))
        }
    }
}
