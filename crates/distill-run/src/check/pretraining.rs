//! What is learned from texts before fine-tuning: model, tokenizer, texts.

use std::path::{Path, PathBuf};

use distill_model::ModelDirectory;
use distill_task::TaskId;

use super::Checker;
use super::found::RowsFound;
use crate::error::{Result, RunError};
use crate::settings::{Settings, Validation};
use crate::{connect, inputs, pretrain, vocabulary};

impl Checker<'_> {
    /// Checks `[pretrain]`, where the pipeline has it.
    pub(super) fn pretraining(&mut self, settings: &Settings) -> Result<()> {
        let texts = &settings.pretrain.texts;
        let Some(model) = &texts.model else { return Ok(()) };
        let made = connect::pretrained_model(self.request.out);
        if settings.finetune.model.as_ref() != Some(&made) {
            let (key, other) = match &settings.finetune.model {
                Some(other) => ("finetune.model", Some(other)),
                None => ("teacher.model", settings.teacher.model.as_ref()),
            };
            let other = other.map_or(String::new(), |other| other.display().to_string());
            let what =
                format!("pretrain.model is set, but {key} is {other}, so nothing uses what is pretrained");
            self.found.problems.add("[pretrain]", RunError::usage(what));
        }
        self.found
            .problems
            .take("[pretrain]", settings.pretrain.train.for_problem(TaskId::MASKED_LANGUAGE_MODELING))?;
        let contrast = settings.pretrain.train.check_contrast(texts.objectives.simcse);
        self.found.problems.take("[pretrain]", contrast)?;
        if let Some(directory) = self.open("pretrain.model", model)? {
            self.found.problems.take("[pretrain]", pretrain::model(settings, self.session.seed))?;
            self.weights("pretrain.model", &directory)?;
        }
        let own = texts.data.as_ref().map(|path| ("pretrain.data", path));
        match own.or(settings.data.train.as_ref().map(|path| ("data.train", path))) {
            Some((place, path)) => self.texts(settings, place, path)?,
            None => {
                let what = "pretrain.data is missing; set it, or data.train, to the texts";
                self.found.problems.add("[pretrain]", RunError::usage(what));
            }
        }
        if let Validation::File(path) = &texts.validation {
            self.texts(settings, "pretrain.validation", path)?;
        }
        Ok(())
    }

    /// Reads all texts of a file once.
    fn texts(&mut self, settings: &Settings, place: &str, path: &Path) -> Result<()> {
        let texts = pretrain::texts(path, &settings.data);
        let Some(mut texts) = self.found.problems.take(place, texts)? else { return Ok(()) };
        if let Some(summary) = self.found.problems.take(place, inputs::scan_texts(&mut texts))? {
            self.found.rows.push(RowsFound::of_texts(place, &texts, &summary));
        }
        Ok(())
    }

    /// The model that is fine-tuned; before it is pretrained, what it will be made of.
    pub(super) fn model_to_finetune(
        &mut self,
        settings: &Settings,
        path: &Path,
    ) -> Result<Option<ModelDirectory>> {
        match &settings.pretrain.texts.model {
            Some(model) if path == connect::pretrained_model(self.request.out) => {
                let (Some(directory), Some(tokenizer)) =
                    (self.open("pretrain.model", model)?, &settings.pretrain.texts.tokenizer)
                else {
                    return self.open("pretrain.model", model);
                };
                let moved = vocabulary::moved(directory, tokenizer);
                let moved = self.found.problems.take("pretrain.tokenizer", moved)?;
                Ok(moved.map(|moved| moved.directory))
            }
            _ => self.open("finetune.model", path),
        }
    }

    /// The directory of a model's tokenizer: what is pretrained may have that of another directory.
    pub(super) fn tokenizer_of(&self, settings: &Settings, directory: &ModelDirectory) -> PathBuf {
        let texts = &settings.pretrain.texts;
        let is_started_from = |model: &PathBuf| {
            self.models
                .get(model)
                .is_some_and(|known| known.as_ref().is_some_and(|known| known.path() == directory.path()))
        };
        match &texts.tokenizer {
            Some(tokenizer) if texts.model.as_ref().is_some_and(is_started_from) => tokenizer.clone(),
            _ => directory.path().to_owned(),
        }
    }
}
