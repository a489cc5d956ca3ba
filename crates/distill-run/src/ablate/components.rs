//! What a pipeline's student is made of, and how each component is taken away.

use std::path::Path;

use distill_core::atomic::{self, FileError};
use distill_student::TrainSettings;
use distill_student::settings::TemperatureSchedule;
use toml::{Table, Value};

use crate::error::{Result, RunError};
use crate::inputs;
use crate::settings::{Settings, Targets};

/// Settings of `[student]` that are methods: each is taken away by setting it back to its default. Not among them are
/// what the other components are, their own settings, and what says how long and in which portions to train.
const METHODS: [&str; 16] = [
    "loss",
    "standardize_logits",
    "label_smoothing",
    "class_weights",
    "sampling",
    "freeze",
    "train_last_layers",
    "gradual_unfreezing",
    "layer_decay",
    "head_learning_rate",
    "ema_decay",
    "optimizer",
    "schedule",
    "warmup_ratio",
    "weight_decay",
    "max_grad_norm",
];

/// One component of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The student's layers are the teacher's: off, they begin with fresh weights.
    Initialisation,
    /// They are the fine-tuned teacher's: off, those of the model that it was made of.
    FineTunedLayers,
    /// They are chosen ones: off, the first ones.
    ChosenLayers,
    /// Soft targets: off, only labels.
    SoftTargets,
    /// Labels: off, only soft targets.
    Labels,
    /// `T²` in front of the soft loss: off, it is 1.
    Square,
    /// The temperature: off, it is 1.
    Temperature,
    /// The loss on hidden states.
    Hidden,
    /// The loss on attention.
    Attention,
    /// The loss on relations.
    Relations,
    /// Copies of the rows, and further ones.
    Augmentation,
    /// All teachers but the first.
    OtherTeachers,
    /// A setting that is not at its default.
    Setting(&'static str),
}

use Component::{
    Attention, Augmentation, ChosenLayers, FineTunedLayers, Hidden, Initialisation, Labels, OtherTeachers,
    Relations, Setting, SoftTargets, Square, Temperature,
};

/// Every component but single settings, in the order of the table.
const ALL: [Component; 12] = [
    Initialisation,
    FineTunedLayers,
    ChosenLayers,
    SoftTargets,
    Labels,
    Square,
    Temperature,
    Hidden,
    Attention,
    Relations,
    Augmentation,
    OtherTeachers,
];

impl Component {
    /// Those that a pipeline uses.
    pub fn of(settings: &Settings) -> Vec<Component> {
        let all = ALL.into_iter().chain(METHODS.map(Setting));
        all.filter(|component| component.is_used(settings)).collect()
    }

    fn is_used(self, settings: &Settings) -> bool {
        let (start, train) = (&settings.student.start, &settings.student.train);
        let soft = train.soft_weight > 0.0;
        let fixed = train.temperature_schedule == TemperatureSchedule::Fixed;
        let kind = settings.data.problem_type.unwrap_or_default();
        let warm =
            soft && train.loss_plan(kind).soft.loss.has_temperature() && !(fixed && train.temperature == 1.0);
        match self {
            Initialisation => {
                start.init.as_ref().is_none_or(|init| init.extension().is_none_or(|end| end != "json"))
            }
            FineTunedLayers => start.init.is_none() && settings.finetune.model.is_some(),
            ChosenLayers => {
                start.layers.as_ref().is_some_and(|layers| !layers.iter().copied().eq(0..layers.len()))
            }
            SoftTargets => soft,
            Labels => soft && train.hard_weight > 0.0,
            Square => warm && fixed,
            Temperature => warm,
            Hidden => train.hidden_weight > 0.0,
            Attention => train.attention_weight > 0.0,
            Relations => train.relation_weight > 0.0,
            // A student of other stores never sees this pipeline's copies.
            Augmentation => settings.augment.adds_rows() && start.targets.is_none(),
            OtherTeachers => start.targets.as_ref().is_some_and(|targets| targets.directories().len() > 1),
            Setting(key) => {
                let defaults = [TrainSettings::default(), default(settings)];
                !defaults.iter().any(|default| value(default, key) == value(train, key))
            }
        }
    }

    /// What is taken away, in words.
    pub fn name(self, settings: &Settings) -> String {
        let name = match self {
            Initialisation => "layer initialisation (newly initialized weights instead)",
            FineTunedLayers => "the teacher's layers (those of the pretrained model instead)",
            ChosenLayers => "the choice of layers (the first layers instead)",
            SoftTargets => "soft targets",
            Labels => "labels",
            Square => "T²",
            Temperature => "temperature (T = 1)",
            Hidden => "hidden states",
            Attention => "attention",
            Relations => "relations",
            Augmentation => "augmentation",
            OtherTeachers => "the other teachers (only the first one)",
            Setting(key) => {
                let [used, default] = [&settings.student.train, &default(settings)]
                    .map(|train| value(train, key).map_or(String::new(), |value| value.to_string()));
                return format!("{key} = {used} ({default} instead)");
            }
        };
        name.to_owned()
    }

    /// The name of its runs' directory.
    pub fn directory(self) -> String {
        let name = match self {
            Initialisation => "without-initialisation",
            FineTunedLayers => "without-fine-tuned-layers",
            ChosenLayers => "without-chosen-layers",
            SoftTargets => "without-soft-targets",
            Labels => "without-labels",
            Square => "without-t-squared",
            Temperature => "without-temperature",
            Hidden => "without-hidden-states",
            Attention => "without-attention",
            Relations => "without-relations",
            Augmentation => "without-augmentation",
            OtherTeachers => "without-other-teachers",
            Setting(key) => return format!("without-{}", key.replace('_', "-")),
        };
        name.to_owned()
    }

    /// Disables it in connected settings; what has to be written for that goes into `scratch`.
    ///
    /// # Errors
    /// Naming the file that cannot be read or written.
    pub fn disable(self, settings: &mut Settings, scratch: &Path) -> Result<()> {
        let pretrained = settings.finetune.model.clone();
        let (start, train) = (&mut settings.student.start, &mut settings.student.train);
        match self {
            Initialisation => {
                let init = inputs::model(start.init.as_deref().unwrap_or(Path::new("")))?.path().to_owned();
                start.tokenizer.get_or_insert_with(|| init.clone());
                start.init = Some(config_alone(&init, scratch)?);
            }
            FineTunedLayers => start.init = pretrained,
            ChosenLayers => start.layers = start.layers.as_ref().map(|layers| (0..layers.len()).collect()),
            SoftTargets => (train.soft_weight, train.hard_weight) = (0.0, 1.0),
            Labels => train.hard_weight = 0.0,
            Square => train.soft_weight /= train.temperature * train.temperature,
            Temperature => (train.temperature, train.temperature_schedule) = (1.0, TemperatureSchedule::Fixed),
            Hidden => train.hidden_weight = 0.0,
            Attention => train.attention_weight = 0.0,
            Relations => train.relation_weight = 0.0,
            Augmentation => (),
            OtherTeachers => {
                let first = start.targets.as_ref().and_then(|targets| targets.directories().first());
                start.targets = first.cloned().map(Targets::One);
                start.teacher_weights = Vec::new();
            }
            Setting(key) => {
                let mut table = table(train);
                if let Some(default) = value(&TrainSettings::default(), key) {
                    table.insert(key.to_owned(), default);
                }
                *train = table.try_into().map_err(|error| RunError::usage(format!("{key}: {error}")))?;
            }
        }
        Ok(())
    }
}

/// What the settings would be if nothing were said of them, for these labels.
fn default(settings: &Settings) -> TrainSettings {
    let kind = settings.data.problem_type.unwrap_or_default();
    let default = TrainSettings::default();
    // Defaults are never refused.
    default.for_problem(kind).unwrap_or(default)
}

/// The settings by their names.
fn table(train: &TrainSettings) -> Table {
    Table::try_from(train).unwrap_or_default()
}

fn value(train: &TrainSettings, key: &str) -> Option<Value> {
    table(train).remove(key)
}

/// A copy of a model's config without weights next to it.
fn config_alone(model: &Path, scratch: &Path) -> Result<std::path::PathBuf> {
    let (from, to) = (model.join("config.json"), scratch.join("config.json"));
    let config = std::fs::read(&from).map_err(FileError::of("read", &from))?;
    atomic::create_directory(scratch)?;
    atomic::remove_left_overs(&to);
    atomic::write(&to, &config)?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn only_what_a_pipeline_uses_is_taken_away() {
        let plain = settings("[student]\ntemperature = 1.0\nhard_weight = 0.0\ninit = \"small/config.json\"\n");
        assert_eq!(Component::of(&plain), [SoftTargets]);
        let all = settings(
            "[finetune]\nmodel = \"m\"\n[augment]\ncopies = 1\n[student]\nlayers = [0, 2]\nhidden_weight = 1.0\n\
             attention_weight = 1.0\nrelation_weight = 1.0\n",
        );
        assert_eq!(Component::of(&all), ALL[..11]);
        let every = || ALL.into_iter().chain(METHODS.map(Setting));
        let mut named: Vec<String> = every().map(Component::directory).collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), every().count());
    }

    #[test]
    fn each_method_that_is_not_at_its_default_is_a_component_and_goes_back_to_it() {
        let used = settings(
            "[student]\ntemperature = 1.0\nhard_weight = 0.0\ninit = \"small/config.json\"\nloss = \"dkd\"\n\
             ema_decay = 0.99\nclass_weights = \"balanced\"\nlayer_decay = 0.8\ntrain_last_layers = 2\n\
             epochs = 9\nlearning_rate = 1e-4\nlog_every = 3\n",
        );
        let found = Component::of(&used);
        let keys = ["loss", "class_weights", "train_last_layers", "layer_decay", "ema_decay"];
        assert_eq!(found[0], SoftTargets);
        assert_eq!(found[1..], keys.map(Setting));
        assert_eq!(Setting("ema_decay").name(&used), "ema_decay = 0.99 (0.0 instead)");
        assert_eq!(Setting("ema_decay").directory(), "without-ema-decay");
        let mut without = used.clone();
        for component in &found[1..] {
            component.disable(&mut without, Path::new("none")).unwrap();
        }
        let rest = "[student]\ntemperature = 1.0\nhard_weight = 0.0\ninit = \"small/config.json\"\nepochs = 9\n\
                    learning_rate = 1e-4\nlog_every = 3\n";
        assert_eq!(without, settings(rest));
        for key in METHODS {
            assert!(value(&TrainSettings::default(), key).is_some(), "{key}");
        }
    }

    #[test]
    fn of_several_teachers_the_first_stays() {
        let mut used = settings(
            "[student]\ntargets = [\"a\", \"b\"]\nteacher_weights = [1.0, 2.0]\n[augment]\ncopies = 1\n",
        );
        assert!(Component::of(&used).contains(&OtherTeachers) && !Component::of(&used).contains(&Augmentation));
        OtherTeachers.disable(&mut used, Path::new("none")).unwrap();
        assert_eq!(used.student.start.targets, Some(Targets::One("a".into())));
        assert!(used.student.start.teacher_weights.is_empty());
    }

    #[test]
    fn t_squared_is_taken_out_of_the_weight_and_nothing_else_changes() {
        let base = settings("[student]\ntemperature = 2.0\nsoft_weight = 0.8\n");
        let mut without = base.clone();
        Square.disable(&mut without, Path::new("none")).unwrap();
        assert_eq!(without.student.train.soft_weight, 0.2);
        without.student.train.soft_weight = 0.8;
        assert_eq!(without, base);
    }
}
