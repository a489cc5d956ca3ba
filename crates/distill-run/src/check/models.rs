//! The models of a pipeline: opened, or described by what they will be made from.

use std::path::{Path, PathBuf};

use distill_core::Category;
use distill_hub::HubName;
use distill_model::stored::{Stored, estimate};
use distill_model::{ModelConfig, ModelDirectory};

use super::Checker;
use super::found::ModelFound;
use crate::error::{Context, Result, RunError};
use crate::settings::Settings;
use crate::{inputs, length, masked, vocabulary};

/// A model, or one that an earlier stage makes of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where its weights and its tokenizer come from.
    pub directory: ModelDirectory,
    /// Its config, with the labels that it has or will have.
    pub config: ModelConfig,
}

impl Checker<'_> {
    /// The model that the pipeline's soft targets come from, and what its logits mean.
    pub(super) fn teacher(&mut self, settings: &Settings) -> Result<Option<Model>> {
        if let Some(path) = &settings.finetune.model {
            return self.before_finetuning(settings, path);
        }
        let used = self.is_taught(settings) || settings.teacher.model.is_some();
        if !used {
            return Ok(None);
        }
        let Some(path) = &settings.teacher.model else {
            let what = "teacher.model is missing: set it to a classifier, or set finetune.model to a model to \
                        fine-tune";
            self.found.problems.add("[teacher]", RunError::usage(what));
            return Ok(None);
        };
        let Some(directory) = self.open("teacher.model", path)? else { return Ok(None) };
        let config = directory.config().clone();
        let problems = &mut self.found.problems;
        problems.take("teacher.model", inputs::classifier(directory.clone()))?;
        let own = problems.take("[data]", inputs::problem_type(&config, &settings.data))?;
        if self.is_taught(settings) {
            self.problem_type = self.problem_type.or(own);
            self.labels = self.labels.take().or_else(|| Some(config.labels.clone()));
        }
        let length = length::of_model(settings.data.max_length, directory.path(), &config);
        self.max_length = self.found.problems.take("teacher.model", length)?;
        self.fits_tokenizer("teacher.model", directory.path(), self.length(), &config)?;
        self.weights("teacher.model", &directory)?;
        Ok(Some(Model { directory, config }))
    }

    fn before_finetuning(&mut self, settings: &Settings, path: &Path) -> Result<Option<Model>> {
        let Some(directory) = self.before_training(settings, path)? else { return Ok(None) };
        let config = directory.config().clone();
        let task = inputs::task_to_train(&config, settings.data.train.as_deref(), &settings.data);
        // Rows that cannot be opened are a problem of `data.train`, which is looked at below.
        let task = match task {
            Err(error) if error.category() == Category::Usage => {
                self.found.problems.add("[data]", error);
                return Ok(None);
            }
            task => task.ok(),
        };
        let problem_type = task.or(settings.data.problem_type).unwrap_or_default();
        self.problem_type = self.problem_type.or(Some(problem_type));
        let train = &settings.finetune.train;
        self.found.problems.take("[finetune]", train.for_problem(problem_type))?;
        let tokenizer = self.tokenizer_of(settings, &directory);
        let length = length::to_train(settings.data.max_length, problem_type, &tokenizer, &config);
        self.max_length = self.found.problems.take("finetune.model", length)?;
        let (key, tokenizer) = match settings.finetune.tokenizer.as_deref() {
            Some(own) => ("finetune.tokenizer", own),
            None => ("finetune.model", tokenizer.as_path()),
        };
        self.fits_tokenizer(key, tokenizer, self.length(), &config)?;
        self.weights("finetune.model", &directory)?;
        Ok(Some(Model { directory, config }))
    }

    /// The model that is fine-tuned, with the vocabulary that it is given.
    fn before_training(&mut self, settings: &Settings, path: &Path) -> Result<Option<ModelDirectory>> {
        let directory = self.model_to_finetune(settings, path)?;
        let (Some(directory), Some(tokenizer)) = (&directory, &settings.finetune.tokenizer) else {
            return Ok(directory);
        };
        let moved = vocabulary::moved(directory.clone(), tokenizer);
        Ok(self.found.problems.take("finetune.tokenizer", moved)?.map(|moved| moved.directory))
    }

    /// Where a model's tokenizer comes from: that of the fine-tuned teacher may not be the one of the model that it is made of.
    pub(super) fn tokenizer_at(&self, path: &Path, model: &Model, settings: &Settings) -> PathBuf {
        let is_finetuned = settings.finetune.model.is_some() && path == self.request.out.join("teacher/model");
        let own = settings.finetune.tokenizer.clone().filter(|_| is_finetuned);
        own.unwrap_or_else(|| self.tokenizer_of(settings, &model.directory))
    }

    /// Opens a model; none where it cannot be, which is a problem, or would have to be fetched first, which is said.
    pub(super) fn open(&mut self, place: &str, path: &Path) -> Result<Option<ModelDirectory>> {
        if let Some(known) = self.models.get(path) {
            return Ok(known.clone());
        }
        let opened = match HubName::to_fetch(path).filter(|_| !self.request.fetch) {
            Some(name) => {
                self.found.notes.push(format!(
                    "{place}: {} would be downloaded from the Hugging Face hub; checks that need it are skipped",
                    name.shown()
                ));
                None
            }
            None => self.found.problems.take(place, inputs::model(path))?,
        };
        self.models.insert(path.to_owned(), opened.clone());
        Ok(opened)
    }

    /// A model by the path that later stages use: that of the fine-tuned teacher does not exist yet.
    pub(super) fn known(&mut self, place: &str, path: &Path, settings: &Settings) -> Result<Option<Model>> {
        let finetuned = self.request.out.join("teacher/model");
        let directory = match &settings.finetune.model {
            Some(model) if path == finetuned => self.before_training(settings, model)?,
            _ => self.open(place, path)?,
        };
        let Some(directory) = directory else { return Ok(None) };
        let mut config = directory.config().clone();
        if path == finetuned
            && let Some((labels, problem_type)) = self.labels()
        {
            config = config.with_labels(labels).with_problem_type(problem_type);
        }
        Ok(Some(Model { directory, config }))
    }

    /// Tokens of a row that the teacher reads.
    pub(super) fn length(&self) -> usize {
        self.max_length.unwrap_or(length::DEFAULT)
    }

    /// Whether a tokenizer and a model belong together, and whether rows may be so long.
    pub(super) fn fits_tokenizer(
        &mut self,
        place: &str,
        tokenizer: &Path,
        max_length: usize,
        config: &ModelConfig,
    ) -> Result<Option<String>> {
        let key = (tokenizer.to_owned(), max_length, config.vocab_size, config.max_length());
        if let Some(hash) = self.tokenizers.get(&key) {
            return Ok(Some(hash.clone()));
        }
        let loaded = inputs::tokenizer(tokenizer, max_length, config);
        let Some(loaded) = self.found.problems.take(place, loaded)? else { return Ok(None) };
        let has_pair = self.rows.values().flatten().any(|(_, summary)| summary.has_pair);
        let special = loaded.special_tokens(true);
        if has_pair && special > max_length {
            let what = format!("max_length is {max_length}, but a text pair has {special} special tokens");
            self.found.problems.add("data.max_length", RunError::usage(what));
        } else {
            self.tokenizers.insert(key, loaded.hash().to_owned());
        }
        Ok(Some(loaded.hash().to_owned()))
    }

    /// How many parameters a model's files hold; a problem where a file was cut off.
    pub(super) fn weights(&mut self, place: &str, directory: &ModelDirectory) -> Result<()> {
        let config = directory.config();
        if directory.is_config_alone() {
            self.found.add_model(ModelFound::of(place, directory, estimate(config)));
            return Ok(());
        }
        let Some(stored) = self.found.problems.take(place, Stored::read(directory))? else { return Ok(()) };
        let parameters = stored.parameters(config, config.num_hidden_layers);
        self.found.add_model(ModelFound::of(place, directory, parameters));
        Ok(())
    }

    /// Parameters of a student of these layers.
    pub(super) fn parameters(&mut self, place: &str, from: &Model, student: &ModelConfig) -> Result<u64> {
        if !from.directory.has_weights() {
            return Ok(estimate(student));
        }
        let stored = self.found.problems.take(place, Stored::read(&from.directory))?;
        let all = stored.map_or(0, |stored| stored.parameters(&from.config, student.num_hidden_layers));
        // A narrower student keeps at most this share of each matrix.
        Ok((all as f64 * student.hidden_size as f64 / from.config.hidden_size.max(1) as f64) as u64)
    }

    /// The masked language model of `[augment]`.
    pub(super) fn masked_model(&mut self, settings: &Settings) -> Result<()> {
        let Some(path) = settings.augment.masked_model.as_ref().filter(|_| settings.augment.adds_rows()) else {
            return Ok(());
        };
        if self.open("augment.masked_model", path)?.is_some() {
            let opened = masked::open(path, settings.data.max_length).context("augment.masked_model");
            self.found.problems.take("augment.masked_model", opened)?;
        }
        Ok(())
    }
}
