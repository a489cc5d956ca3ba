//! `[pretrain]`.

use std::path::PathBuf;

use distill_data::masking::MaskingKind;
use distill_data::packing::Packing;
use distill_student::TrainSettings;
use serde::{Deserialize, Serialize};

use super::schema::Validation;
use super::stage_tables::{check_keys, cut, read_over, train_over, without_a_teacher};

/// Keys of `[pretrain]` besides those of training.
const OWN_KEYS: &[&str] =
    &["model", "tokenizer", "data", "validation", "masking", "mask_probability", "packing", "objectives"];

/// `distill pretrain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct PretrainSettings {
    /// What is learned from.
    #[serde(flatten)]
    pub texts: PretrainTexts,
    /// How to train.
    #[serde(flatten)]
    pub train: TrainSettings,
}

impl Default for PretrainSettings {
    fn default() -> Self {
        PretrainSettings { texts: PretrainTexts::default(), train: TrainSettings::default().without_teacher() }
    }
}

/// What is trained, and on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainTexts {
    /// Hugging Face directory to start from, or a `config.json` for fresh weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Directory of the tokenizer; by default that of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<PathBuf>,
    /// The texts; in a pipeline those of `data.train` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Validation texts: a share of the documents, or a file.
    pub validation: Validation,
    /// What is masked together.
    pub masking: MaskingKind,
    /// Share of the tokens that are predicted.
    pub mask_probability: f64,
    /// Whether short documents share sequences.
    pub packing: Packing,
    /// What is learned next to masked tokens.
    pub objectives: Objectives,
}

/// Weights of what is learned next to masked tokens; 0: it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Objectives {
    /// Telling sequences apart from each other, by two passes with different dropout.
    pub simcse: f64,
}

impl Default for PretrainTexts {
    fn default() -> Self {
        PretrainTexts {
            model: None,
            tokenizer: None,
            data: None,
            validation: Validation::Share(0.1),
            masking: MaskingKind::default(),
            mask_probability: 0.15,
            packing: Packing::default(),
            objectives: Objectives::default(),
        }
    }
}

impl TryFrom<toml::Table> for PretrainSettings {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Self, String> {
        let (train, own) = cut(table).map_err(|error| error.to_string())?;
        check_keys(&own, OWN_KEYS)?;
        let train = train_over(PretrainSettings::default().train, train)?;
        without_a_teacher(&train, "pretraining")?;
        Ok(PretrainSettings { texts: read_over(&toml::Table::new(), own)?, train })
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::Settings;

    use super::*;

    #[test]
    fn the_table_takes_its_own_keys_and_those_of_training() {
        let text = "[pretrain]\nmodel = \"m\"\nmasking = \"whole_word\"\nvalidation = \"5%\"\nepochs = 2\n";
        let pretrain = toml::from_str::<Settings>(text).unwrap().pretrain;
        assert_eq!((pretrain.texts.masking, pretrain.texts.mask_probability), (MaskingKind::WholeWord, 0.15));
        assert_eq!((pretrain.texts.validation, pretrain.train.epochs), (Validation::Share(0.05), 2));
        for (line, part) in [
            ("masking = \"words\"", "whole_word"),
            ("soft_weight = 0.5", "pretraining has no teacher"),
            ("objectives = {magic = 1.0}", "expected `simcse`"),
        ] {
            let error = toml::from_str::<Settings>(&format!("[pretrain]\n{line}\n")).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
