//! What a pipeline's student is made of, and how each component is taken away.

use std::path::Path;

use distill_core::atomic::{self, FileError};
use distill_student::settings::TemperatureSchedule;

use crate::commands::inputs;
use crate::settings::Settings;

/// One component of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The student's layers are the teacher's: off, they begin with fresh weights.
    Initialisation,
    /// They are the fine-tuned teacher's: off, those of the model that it was made of.
    FineTunedLayers,
    /// They are chosen ones: off, the first ones.
    ChosenLayers,
    /// Soft targets: off, labels alone.
    SoftTargets,
    /// Labels: off, soft targets alone.
    Labels,
    /// `T²` in front of the soft loss: off, it is 1.
    Square,
    /// The temperature: off, it is 1.
    Temperature,
    /// Hidden states beside the teacher's.
    Hidden,
    /// Attention beside the teacher's.
    Attention,
    /// Relations beside the teacher's.
    Relations,
    /// Copies of the rows.
    Augmentation,
}

use Component::{
    Attention, Augmentation, ChosenLayers, FineTunedLayers, Hidden, Initialisation, Labels, Relations,
    SoftTargets, Square, Temperature,
};

/// Every component, in the order of the table.
const ALL: [Component; 11] = [
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
];

impl Component {
    /// Those that a pipeline uses.
    pub fn of(settings: &Settings) -> Vec<Component> {
        ALL.into_iter().filter(|component| component.is_used(settings)).collect()
    }

    fn is_used(self, settings: &Settings) -> bool {
        let (start, train) = (&settings.student.start, &settings.student.train);
        let soft = train.soft_weight > 0.0;
        let fixed = train.temperature_schedule == TemperatureSchedule::Fixed;
        let warm = soft && train.loss.has_temperature() && !(fixed && train.temperature == 1.0);
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
            Augmentation => settings.augment.adds_rows(),
        }
    }

    /// What is taken away, in words.
    pub fn name(self) -> &'static str {
        match self {
            Initialisation => "layer initialisation (fresh weights instead)",
            FineTunedLayers => "the teacher's layers (the pretrained ones instead)",
            ChosenLayers => "the choice of layers (the first ones instead)",
            SoftTargets => "soft targets",
            Labels => "labels",
            Square => "T²",
            Temperature => "temperature (T = 1)",
            Hidden => "hidden states",
            Attention => "attention",
            Relations => "relations",
            Augmentation => "augmentation",
        }
    }

    /// The name of its runs' directory.
    pub fn directory(self) -> &'static str {
        match self {
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
        }
    }

    /// Whether its students have the rows alone. Copies have no labels: without soft targets nothing can be
    /// learned from them.
    pub fn drops_copies(self) -> bool {
        matches!(self, Augmentation | SoftTargets)
    }

    /// Takes it away from connected settings; what has to be written for that goes into `scratch`.
    ///
    /// # Errors
    /// Naming the file that cannot be read or written.
    pub fn take_away(self, settings: &mut Settings, scratch: &Path) -> anyhow::Result<()> {
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
        }
        Ok(())
    }
}

/// A copy of a model's config without weights beside it.
fn config_alone(model: &Path, scratch: &Path) -> anyhow::Result<std::path::PathBuf> {
    let (from, to) = (model.join("config.json"), scratch.join("config.json"));
    let config = std::fs::read(&from).map_err(FileError::of("read", &from))?;
    atomic::create_directory(scratch)?;
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
        assert_eq!(Component::of(&all), ALL);
        let mut named: Vec<&str> = ALL.iter().map(|component| component.directory()).collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named.len(), ALL.len());
    }

    #[test]
    fn t_squared_is_taken_out_of_the_weight_and_nothing_else_changes() {
        let base = settings("[student]\ntemperature = 2.0\nsoft_weight = 0.8\n");
        let mut without = base.clone();
        Square.take_away(&mut without, Path::new("none")).unwrap();
        assert_eq!(without.student.train.soft_weight, 0.2);
        without.student.train.soft_weight = 0.8;
        assert_eq!(without, base);
    }
}
