//! Whether settings, model and rows go together, before anything is trained.

use super::Trainer;
use crate::data::Part;
use crate::error::TrainError;
use crate::moving::Moving;
use crate::settings::{BestMetric, ClassWeightRule, ClassWeights, Sampling, TrainSettings};

impl Trainer<'_> {
    /// Whether the settings make sense for this model and these rows.
    ///
    /// # Errors
    /// [`TrainError::Setting`], [`TrainError::TwoLabels`] or [`TrainError::Rows`].
    pub fn check(&self) -> Result<(), TrainError> {
        let (settings, config) = (self.settings, self.model.config());
        settings.check()?;
        settings.for_problem(config.problem_type)?;
        settings.check_model(config.labels.num_labels(), config.num_hidden_layers)?;
        self.check_rows()?;
        if settings.sampling == Sampling::Balanced && self.data.train.labelled() == 0 {
            return Err(TrainError::Setting {
                field: "sampling",
                value: "balanced where no training row has a label".to_owned(),
                expected: "\"uniform\"",
            });
        }
        Ok(())
    }

    fn warn_of_two_balances(&self) {
        let TrainSettings { sampling, class_weights, hard_weight, .. } = self.settings;
        let weighted = *class_weights == ClassWeights::Rule(ClassWeightRule::Balanced) && *hard_weight > 0.0;
        if *sampling == Sampling::Balanced && weighted {
            tracing::warn!(
                "sampling = \"balanced\" and class_weights = \"balanced\" both even out the classes: together a rare \
                 class counts more than a frequent one"
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
        self.check_validation()?;
        let unlabelled = train.rows.len() - train.labelled();
        if !self.settings.has_teacher() && unlabelled > 0 {
            return Err(TrainError::Rows(format!(
                "{unlabelled} of {} training rows have no label, and without a teacher nothing can be learned from them",
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
                "no row of the validation part has a label: nothing tells one epoch from another (is the label column \
                 named?)"
                    .to_owned(),
            ));
        }
        if !has_teacher && self.settings.best_metric == BestMetric::Agreement {
            return Err(TrainError::Setting {
                field: "best_metric",
                value: "agreement where the validation part has no soft targets".to_owned(),
                expected: "a metric of labels",
            });
        }
        Ok(())
    }

    /// Few rows choose the epoch by chance.
    fn warn_of_few_rows(&self) {
        /// Below so many, one row is more than 2 points of accuracy.
        const FEW: usize = 50;
        let (train, validation) = (self.data.train.rows.len(), self.data.validation.rows.len());
        if validation < FEW && train >= 20 * validation.max(FEW / 2) {
            tracing::warn!(
                "{validation} rows choose the best epoch of {train} training rows: only labelled ones are set aside; a \
                 validation file or more labels would say more"
            );
        }
    }

    /// Says what too few epochs of gradual unfreezing never reach.
    fn warn_of_frozen_layers(&self) {
        let (config, epochs) = (self.model.config(), self.settings.epochs);
        let moving = Moving::new(self.settings, config.architecture, config.num_hidden_layers);
        let needed = moving.epochs_to_reach_all();
        if (epochs as usize) < needed {
            tracing::warn!(
                "gradual_unfreezing takes an epoch for each part: with {epochs} instead of {needed} epochs the lowest \
                 ones never move"
            );
        }
    }

    /// Says which comparisons inside the network teach nobody: what is below the layers that move is never trained.
    fn warn_of_frozen_comparisons(&self) {
        let settings = self.settings;
        // Layers that share their weights move together.
        let apart = !self.model.config().architecture.layers.is_empty();
        let Some(teacher) = self.teacher.filter(|_| settings.train_last_layers > 0 && apart) else { return };
        let [own, theirs] = [self.model, teacher].map(|model| model.config().num_hidden_layers);
        let first_moving = own.saturating_sub(settings.train_last_layers);
        let by_layers = settings.hidden_weight + settings.attention_weight;
        for (weight, map, name) in [
            (by_layers, &settings.layer_map, "layer_map"),
            (settings.relation_weight, &settings.relation_map, "relation_map"),
        ] {
            let pairs = map.pairs(own, theirs).unwrap_or_default();
            let idle = pairs.iter().filter(|(layer, _)| weight > 0.0 && *layer < first_moving).count();
            if idle > 0 {
                tracing::warn!(
                    "{name}: {idle} of {} comparisons are of layers that train_last_layers = {} does not train: they count in \
                     the loss and teach nothing",
                    pairs.len(),
                    settings.train_last_layers
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

/// Checks that every row of a part has `num_labels` soft targets.
///
/// # Errors
/// [`TrainError::Rows`] naming the first row that has not.
pub fn check_soft_targets(part: &Part, num_labels: usize) -> Result<(), TrainError> {
    match part.iter().find(|example| example.logits.len() != num_labels) {
        None => Ok(()),
        Some(example) => {
            let found = example.logits.len();
            Err(TrainError::Rows(format!("row {}: {found} soft targets for {num_labels} labels", example.row)))
        }
    }
}
