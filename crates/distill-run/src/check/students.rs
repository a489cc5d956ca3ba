//! Whether a student can be made and trained: layers, width, tokenizer, losses.

use std::path::Path;

use distill_model::ModelConfig;
use distill_model::student::{self as shapes, Shape};
use distill_student::TrainSettings;
use distill_student::intermediate_losses;
use distill_student::plan::IntermediateTerms;

use super::Checker;
use super::found::StudentFound;
use super::models::Model;
use crate::error::Result;
use crate::length;
use crate::settings::Settings;
use crate::student::{self, TEACHER};
use crate::vocabulary;

/// The student, or the same one without a teacher.
struct Which<'a> {
    place: &'static str,
    /// The setting that it starts from.
    key: &'static str,
    init: &'a Path,
    train: TrainSettings,
}

impl Checker<'_> {
    /// Checks the student and the one without a teacher.
    pub(super) fn students(&mut self, settings: &Settings) -> Result<()> {
        let start = &settings.student.start;
        let Some(init) = start.init.as_deref() else { return Ok(()) };
        let train = settings.student.train.clone();
        let without = train.without_teacher();
        self.student(settings, &Which { place: "[student]", key: "student.init", init, train })?;
        if start.no_teacher_baseline {
            let (key, init) = match start.baseline_init.as_deref() {
                Some(own) => ("student.baseline_init", own),
                None => ("student.init", init),
            };
            let place = "the student without a teacher";
            self.student(settings, &Which { place, key, init, train: without })?;
        }
        Ok(())
    }

    fn student(&mut self, settings: &Settings, which: &Which<'_>) -> Result<()> {
        let Some(from) = self.begins_as(settings, which)? else { return Ok(()) };
        let start = &settings.student.start;
        let Some(from) = self.with_tokenizer(from, start.tokenizer.as_deref())? else { return Ok(()) };
        self.found.problems.take("student.vocabulary_from", vocabulary::texts(start, &settings.data))?;
        let place = which.place;
        let (labels, problem_type) = match (self.labels.clone(), self.problem_type) {
            (Some(labels), Some(problem_type)) => (labels, problem_type),
            _ => (from.config.labels.clone(), from.config.problem_type),
        };
        let shape = Shape { layers: start.layers.as_deref(), hidden_size: start.hidden_size };
        let problems = &mut self.found.problems;
        let narrow = start
            .embedding_size
            .map_or_else(|| Ok(from.config.clone()), |size| from.config.with_embedding_size(size));
        let Some(narrow) = problems.take("student.embedding_size", narrow)? else { return Ok(()) };
        let config = problems.take(place, shapes::config(&narrow, shape, &labels, problem_type))?;
        let train = problems.take(place, which.train.for_problem(problem_type))?;
        let own = self.tokenizer_at(self.init_path(settings, which), &from, settings);
        let tokenizer = match start.tokenizer.as_deref() {
            Some(own) => ("student.tokenizer", own),
            None => (which.key, own.as_path()),
        };
        let length = self.length_of_student(settings, &from.config);
        let tokens = self.fits_tokenizer(tokenizer.0, tokenizer.1, length, &from.config)?;
        let (Some(config), Some(train)) = (config, train) else { return Ok(()) };
        if self.labels().is_some() {
            let fits = train.check_model(problem_type.competing(labels.num_labels()), config.num_hidden_layers);
            self.found.problems.take(place, fits)?;
        }
        let terms = train.loss_plan(problem_type).intermediate;
        if terms.any() {
            self.check_layer_teacher(settings, &terms, &config, tokens.as_deref())?;
        }
        let parameters = self.parameters(which.key, &from, &config)?;
        self.found.add_student(StudentFound { place, layers: config.num_hidden_layers, parameters, train });
        Ok(())
    }

    /// Tokens of a row that a student reads: those that were asked for, else what all of its teachers read.
    fn length_of_student(&self, settings: &Settings, config: &ModelConfig) -> usize {
        let stores = self.stores.iter().map(|store| store.fingerprint().max_length as usize);
        let own = self.is_taught(settings).then(|| self.length());
        let read = stores.chain(own).min().unwrap_or(length::DEFAULT);
        settings.data.max_length.unwrap_or_else(|| read.min(length::positions(config)))
    }

    /// The model with the vocabulary that a student is given.
    fn with_tokenizer(&mut self, from: Model, tokenizer: Option<&Path>) -> Result<Option<Model>> {
        let Some(tokenizer) = tokenizer.filter(|_| from.directory.has_weights()) else { return Ok(Some(from)) };
        let moved = vocabulary::moved(from.directory, tokenizer);
        let Some(moved) = self.found.problems.take("student.tokenizer", moved)? else { return Ok(None) };
        let config = moved.directory.config().with_labels(from.config.labels.clone());
        let config = config.with_problem_type(from.config.problem_type);
        Ok(Some(Model { directory: moved.directory, config }))
    }

    /// The path of what a student starts as, where it has one.
    fn init_path<'a>(&self, settings: &'a Settings, which: &Which<'a>) -> &'a Path {
        match settings.teacher.model.as_deref() {
            Some(teacher) if which.init == Path::new(TEACHER) && !which.init.exists() => teacher,
            _ => which.init,
        }
    }

    /// What a student starts as.
    fn begins_as(&mut self, settings: &Settings, which: &Which<'_>) -> Result<Option<Model>> {
        if which.init != Path::new(TEACHER) || which.init.exists() {
            return self.known(which.key, which.init, settings);
        }
        if let Some(teacher) = settings.teacher.model.as_deref().filter(|_| self.is_taught(settings)) {
            return self.known("teacher.model", teacher, settings);
        }
        let Some(store) = self.stores.first() else { return Ok(None) };
        let directory = self.found.problems.take(which.key, student::teacher_of(store))?;
        Ok(directory.map(|directory| Model { config: directory.config().clone(), directory }))
    }

    /// The teacher that runs next to a student, whose layers and tokens are compared.
    fn check_layer_teacher(
        &mut self,
        settings: &Settings,
        terms: &IntermediateTerms,
        student: &ModelConfig,
        tokens: Option<&str>,
    ) -> Result<()> {
        const PLACE: &str = "student.teacher_model";
        let Some(path) = settings.student.start.teacher_model.as_deref() else { return Ok(()) };
        let Some(teacher) = self.known(PLACE, path, settings)? else { return Ok(()) };
        let fits = intermediate_losses::check(terms, student, &teacher.config);
        self.found.problems.take("[student]", fits)?;
        let path = &self.tokenizer_at(path, &teacher, settings);
        let theirs =
            self.fits_tokenizer(PLACE, path, self.length_of_student(settings, student), &teacher.config)?;
        if let (Some(theirs), Some(own)) = (theirs, tokens) {
            self.found.problems.take(PLACE, student::must_read_alike(path, &theirs, own))?;
        }
        Ok(())
    }
}
