//! Which parameters move, when, and how fast.
//!
//! Parameters have a height: 0 for the embeddings and what else stands before the layers or serves all of them, 1 to
//! `L` for the layers from below, and what stands behind them as the last, `L + 1` for pooler and head. Layers that share their weights have the height of the last.
//!
//! Sources: gradual unfreezing and rates by layer, Howard & Ruder 2018, arXiv:1801.06146, section 3.3; decay by
//! layer for Transformers, Clark et al. 2020, arXiv:2003.10555, appendix B.

use distill_model::Architecture;
use distill_model::architecture::Place;
use tch::Tensor;

use crate::plan::Trainable;
use crate::settings::Freeze;

/// Stands for the word embeddings, which have another name in each architecture and always height 0.
const EMBEDDINGS: &str = "embeddings";

/// What moves in a run.
#[derive(Clone, Copy, Debug)]
pub struct ParamGroups {
    plan: Trainable,
    architecture: &'static Architecture,
    layers: usize,
}

impl ParamGroups {
    /// The groups of a model with this many layers, according to the plan.
    pub fn new(plan: Trainable, architecture: &'static Architecture, layers: usize) -> Self {
        ParamGroups { plan, architecture, layers }
    }

    /// Whether a parameter moves at any time of the run.
    pub fn ever(&self, name: &str) -> bool {
        self.allowed(self.height(name))
    }

    /// Whether a parameter moves in epoch `epoch`, from 0.
    pub fn in_epoch(&self, name: &str, epoch: u32) -> bool {
        let height = self.height(name);
        let reached = !self.plan.gradual_unfreezing || height + epoch as usize > self.layers;
        reached && self.allowed(height)
    }

    fn allowed(&self, height: usize) -> bool {
        let head = height > self.layers;
        let by_freeze = match self.plan.freeze {
            Freeze::None => true,
            Freeze::Embeddings => height > 0,
            Freeze::Encoder => head,
        };
        by_freeze && self.plan.last_layers.is_none_or(|last| height + last > self.layers)
    }

    /// Epochs until everything is trained that is ever trained: gradual unfreezing needs one for each height.
    pub fn epochs_to_reach_all(&self) -> usize {
        if !self.plan.gradual_unfreezing {
            return 1;
        }
        let top = self.layers + 1;
        top + 1 - (0..top).find(|height| self.allowed(*height)).unwrap_or(top)
    }

    /// What a parameter's learning rate is multiplied by.
    pub fn factor(&self, name: &str) -> f64 {
        let height = self.height(name);
        if height > self.layers {
            return self.plan.head_factor;
        }
        self.plan.layer_decay.powi((self.layers + 1 - height) as i32)
    }

    /// Whether the word embeddings move at any time of the run.
    pub fn embeddings_ever(&self) -> bool {
        self.ever(EMBEDDINGS)
    }

    /// Whether they move in an epoch.
    pub fn embeddings_in_epoch(&self, epoch: u32) -> bool {
        self.in_epoch(EMBEDDINGS, epoch)
    }

    /// What their learning rate is multiplied by.
    pub fn embeddings_factor(&self) -> f64 {
        self.factor(EMBEDDINGS)
    }

    /// Turns gradients on for the parameters that move in an epoch, and off for the others: a backward pass
    /// ends where nothing below moves.
    pub fn begin_epoch(&self, parameters: &[(String, Tensor)], epoch: u32) {
        for (name, parameter) in parameters {
            drop(parameter.set_requires_grad(self.in_epoch(name, epoch)));
        }
    }

    fn height(&self, name: &str) -> usize {
        if self.architecture.is_head(name) {
            return self.layers + 1;
        }
        match self.architecture.layer_of(name) {
            Some(Place::Numbered(layer)) => layer + 1,
            Some(Place::Shared) => self.layers,
            None if self.architecture.is_behind_layers(name) => self.layers,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use distill_model::backbones;

    use super::*;
    use crate::settings::TrainSettings;

    const NAMES: [&str; 5] = [
        "bert.embeddings.word_embeddings.weight",
        "bert.encoder.layer.0.output.dense.weight",
        "bert.encoder.layer.2.output.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
    ];

    fn groups(settings: &TrainSettings) -> ParamGroups {
        ParamGroups::new(settings.trainable(), backbones::named("bert").unwrap(), 3)
    }

    fn moves(settings: &TrainSettings, epoch: u32) -> [bool; 5] {
        NAMES.map(|name| groups(settings).in_epoch(name, epoch))
    }

    #[test]
    fn settings_say_what_moves() {
        let base = TrainSettings::default();
        assert_eq!(moves(&base, 0), [true; 5]);
        let embeddings = TrainSettings { freeze: Freeze::Embeddings, ..base.clone() };
        assert_eq!(moves(&embeddings, 9), [false, true, true, true, true]);
        let encoder = TrainSettings { freeze: Freeze::Encoder, ..base.clone() };
        assert_eq!(moves(&encoder, 9), [false, false, false, true, true]);
        let last = TrainSettings { train_last_layers: 1, ..base };
        assert_eq!(moves(&last, 9), [false, false, true, true, true]);
        assert!(!groups(&last).ever(NAMES[1]));
    }

    #[test]
    fn unfreezing_goes_down_one_layer_an_epoch_and_reaches_the_embeddings_last() {
        let settings = TrainSettings { gradual_unfreezing: true, ..TrainSettings::default() };
        assert_eq!(moves(&settings, 0), [false, false, false, true, true]);
        assert_eq!(moves(&settings, 1), [false, false, true, true, true]);
        assert_eq!(moves(&settings, 3), [false, true, true, true, true]);
        assert_eq!(moves(&settings, 4), [true; 5]);
        assert!(groups(&settings).ever(NAMES[0]));
        assert_eq!(groups(&settings).epochs_to_reach_all(), 5);
        let last = TrainSettings { train_last_layers: 1, ..settings.clone() };
        let head = TrainSettings { freeze: Freeze::Encoder, ..settings };
        assert_eq!([&last, &head].map(|settings| groups(settings).epochs_to_reach_all()), [2, 1]);
    }

    #[test]
    fn rates_fall_by_layer_and_the_head_has_its_own() {
        let settings = TrainSettings {
            learning_rate: 1e-4,
            head_learning_rate: 1e-3,
            layer_decay: 0.5,
            ..TrainSettings::default()
        };
        let factors = NAMES.map(|name| groups(&settings).factor(name));
        for (found, expected) in factors.into_iter().zip([0.0625, 0.125, 0.5, 10.0, 10.0]) {
            assert!((found - expected).abs() < 1e-12, "{factors:?}");
        }
        let base = TrainSettings::default();
        assert_eq!(NAMES.map(|name| groups(&base).factor(name)), [1.0; 5]);
    }

    #[test]
    fn every_architecture_says_where_its_layers_and_head_are() {
        let plan = TrainSettings::default().trainable();
        let height = |model_type: &str, name: &str| {
            ParamGroups::new(plan, backbones::named(model_type).unwrap(), 12).height(name)
        };
        assert_eq!(height("modernbert", "model.layers.11.attn.Wqkv.weight"), 12);
        assert_eq!(height("modernbert", "head.dense.weight"), 13);
        assert_eq!(height("modernbert", "model.final_norm.weight"), 12);
        assert_eq!(height("modernbert", "model.embeddings.norm.weight"), 0);
        assert_eq!(height("distilbert", "distilbert.transformer.layer.0.ffn.lin1.bias"), 1);
        assert_eq!(height("distilbert", "pre_classifier.weight"), 13);
        assert_eq!(height("deberta-v2", "deberta.encoder.rel_embeddings.weight"), 0);
        let shared = "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight";
        assert_eq!(height("albert", shared), 12);
        assert_eq!(height("albert", "albert.encoder.embedding_hidden_mapping_in.weight"), 0);
        assert_eq!(height("albert", "albert.embeddings.word_embeddings.weight"), 0);
    }
}
