//! What is wrong with a pipeline, found before anything is computed: `distill check`, and what `run`, `sweep` and
//! `ablate` do first.
//!
//! Read in this order: `problems` (all problems, reported together), `models` (what is opened), `pretraining` (what is learned from texts first), `data` (rows and
//! their labels), `stores`, `students` (what has to fit a teacher), `results` (gates, slices, places for results),
//! `space` (the disk), `found` (what is printed). A model that an earlier stage makes is known by what it is made
//! of.

mod data;
mod found;
mod models;
mod pretraining;
mod problems;
mod results;
mod space;
mod stores;
mod students;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use distill_core::LabelMap;
use distill_data::logits::Store;
use distill_data::source::{Source, Summary};
use distill_model::ModelDirectory;
use distill_task::TaskId;

use crate::error::Result;
use crate::session::Session;
use crate::settings::Settings;
use crate::{connect, pretrain, training};
pub use found::Found;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Directory of all stages.
    pub out: &'a Path,
    /// Seeds that are run one after the other; none: the one of the settings.
    pub seeds: &'a [u64],
    /// Whether existing results are replaced.
    pub overwrite: bool,
    /// Whether a report comes of it.
    pub report: bool,
    /// Whether models may be fetched from the hub, as the run itself would do.
    pub fetch: bool,
    /// How many students are trained with each seed.
    pub students: u64,
}

impl<'a> Request<'a> {
    /// A whole pipeline in `out`.
    pub fn of_run(out: &'a Path, seeds: &'a [u64], overwrite: bool) -> Self {
        Request { out, seeds, overwrite, report: true, fetch: true, students: 1 }
    }

    /// Students of a pipeline, which are compared only on its validation part.
    pub fn of_students(out: &'a Path, seeds: &'a [u64], students: usize) -> Self {
        Request { report: false, students: students as u64, ..Self::of_run(out, seeds, false) }
    }
}

/// Looks at all of a pipeline.
///
/// # Errors
/// A stop. Problems of the pipeline are in the result.
pub fn look(settings: &Settings, request: Request<'_>, session: &Session) -> Result<Found> {
    let mut checker = Checker::new(request, session);
    checker.pipeline(settings)?;
    Ok(Found { labels: checker.labels, ..checker.found })
}

/// Checks a pipeline before it is run.
///
/// # Errors
/// All that is wrong with it, as one error.
pub fn before_run(settings: &Settings, request: Request<'_>, session: &Session) -> Result<()> {
    let mut checker = Checker::new(request, session);
    checker.pipeline(settings)?;
    checker.found.problems.into_result(&*session.messages)
}

/// A check in progress, with what it has opened.
pub struct Checker<'a> {
    request: Request<'a>,
    session: &'a Session,
    models: HashMap<PathBuf, Option<ModelDirectory>>,
    /// Hashes of tokenizers that fit, by directory, length of rows, and the model's vocabulary and positions.
    tokenizers: HashMap<(PathBuf, usize, i64, i64), String>,
    rows: HashMap<PathBuf, Option<(Source, Summary)>>,
    stores: Vec<Store>,
    labels: Option<LabelMap>,
    problem_type: Option<TaskId>,
    /// Tokens of a row that the teacher reads.
    max_length: Option<usize>,
    found: Found,
}

impl<'a> Checker<'a> {
    /// A new check.
    pub fn new(request: Request<'a>, session: &'a Session) -> Self {
        Checker {
            request,
            session,
            models: HashMap::new(),
            tokenizers: HashMap::new(),
            rows: HashMap::new(),
            stores: Vec::new(),
            labels: None,
            problem_type: None,
            max_length: None,
            found: Found::default(),
        }
    }

    /// Looks at all of a pipeline.
    ///
    /// # Errors
    /// A stop. What is wrong with the pipeline is noted.
    pub fn pipeline(&mut self, settings: &Settings) -> Result<()> {
        let settings = &connect::connected(settings.clone(), self.request.out);
        self.numbers(settings)?;
        self.pretraining(settings)?;
        let teacher = self.teacher(settings)?;
        self.open_stores(settings)?;
        let rows = &self.with_columns_of_store(settings)?;
        self.training_rows(rows, teacher.as_ref())?;
        self.must_share_labels(settings)?;
        self.students(settings)?;
        if self.request.report {
            self.report(settings)?;
        }
        self.places(settings)?;
        self.space(settings)
    }

    /// As [`Checker::pipeline`], for a pipeline whose settings are then varied.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn base(&mut self, settings: &Settings) -> Result<()> {
        self.pipeline(settings)?;
        std::mem::take(&mut self.found.problems).into_result(&*self.session.messages)
    }

    /// Checks a student of the same rows and labels with other settings.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn trial(&mut self, settings: &Settings) -> Result<()> {
        training::check_numbers(settings)?;
        let settings = &connect::connected(settings.clone(), self.request.out);
        self.teacher(settings)?;
        self.open_stores(settings)?;
        self.students(settings)?;
        std::mem::take(&mut self.found.problems).first()
    }

    /// What settings say by themselves.
    fn numbers(&mut self, settings: &Settings) -> Result<()> {
        let is_taught = self.is_taught(settings);
        let problems = &mut self.found.problems;
        problems.take("[student]", settings.student.train.check())?;
        if connect::pretrains(settings) {
            problems.take("[pretrain]", settings.pretrain.train.check())?;
            problems.take("[pretrain]", pretrain::check_validation(&settings.pretrain.texts))?;
        }
        if settings.finetune.model.is_some() {
            problems.take("[finetune]", settings.finetune.train.check())?;
        }
        problems.take("[data]", training::check_validation(&settings.data))?;
        if settings.augment.adds_rows() {
            problems.take("[augment]", crate::augment::check(&settings.augment))?;
        }
        if is_taught {
            problems.take("[teacher]", crate::teacher::check_shard_rows(settings))?;
        }
        if self.request.report {
            problems.take("[report]", settings.report.check())?;
        }
        Ok(())
    }

    /// The directory of the pipeline's own soft targets.
    fn own_targets(&self) -> PathBuf {
        self.request.out.join("targets")
    }

    /// Whether the student learns from the pipeline's teacher: it may learn only from other stores.
    fn is_taught(&self, settings: &Settings) -> bool {
        let own = self.own_targets();
        settings.student.start.targets.as_ref().is_none_or(|targets| targets.directories().contains(&own))
    }

    /// The label map and what labels are, where both are known.
    fn labels(&self) -> Option<(LabelMap, TaskId)> {
        Some((self.labels.clone()?, self.problem_type?))
    }
}
