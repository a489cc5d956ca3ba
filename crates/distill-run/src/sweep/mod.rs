//! `distill sweep`: many students of one pipeline, compared only on the validation part.
//!
//! `space` has the file and its trials, `table` the results. For each seed the
//! pipeline runs up to its soft targets in `OUT/seed-N`, once more in `OUT/seed-N/pipeline-NAME` for each way in which
//! trials change what is before the student; each trial is an ordinary student run in `OUT/seed-N/trials/NAME`, which
//! resumes and is not run again where its result is there. Names come of the changes alone, so that a value more in the
//! space moves no finished trial.

mod changes;
mod range;
mod space;
mod table;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use distill_core::Category;
use distill_student::selection::Metric;
use distill_task::TaskId;

use crate::check::{Checker, Request};
use crate::connect;
use crate::error::{Context, Result, RunError};
use crate::pipeline::{self, Extent, RunOptions};
use crate::session::Session;
use crate::settings::Settings;
use crate::student::StudentStage;
use crate::trial::{self, Failed, Outcome};
pub use changes::{Changes, shown};
use changes::{name_of, of_teacher, upstream};
pub use space::SweepFile;
use space::{Method, rounds};
use table::Row;
pub use table::Table;

/// The pipeline's settings with some changed, which come after all others.
pub type SettingsWith<'a> = dyn Fn(&[(String, toml::Value)]) -> Result<Settings> + 'a;

/// A sweep with its trials.
pub struct Sweep<'a> {
    file: &'a SweepFile,
    settings: &'a SettingsWith<'a>,
    trials: Vec<Changes>,
    base: Settings,
}

impl<'a> Sweep<'a> {
    /// The trials of a sweep file, over the pipeline that `settings` gives the settings of.
    ///
    /// # Errors
    /// Wrong usage for a setting that no student depends on; settings that cannot be read.
    pub fn new(file: &'a SweepFile, settings: &'a SettingsWith<'a>) -> Result<Self> {
        let trials = file.trials()?;
        let base = settings(&[])?;
        // Every trial's settings are read before any of them runs. A value that is wrong by itself is a mistake; a trial
        // whose values do not go together is in the table with the reason.
        let one_by_one = file.sweep.method == Method::OneAtATime;
        if let Some(key) = trials
            .iter()
            .flatten()
            .map(|(key, _)| key)
            .find(|key| is_idle(key) && (one_by_one || varies(key, &trials)))
        {
            return Err(RunError::usage(format!("[space] {key:?}: the student does not depend on it")));
        }
        Ok(Sweep { file, settings, trials, base })
    }

    /// The settings of the unchanged pipeline.
    pub fn base(&self) -> &Settings {
        &self.base
    }

    /// What each trial changes, in words.
    pub fn names(&self) -> Vec<String> {
        self.trials.iter().map(|trial| shown(trial)).collect()
    }

    /// Checks the pipeline, whose trials are to be in `out`, and each trial. A trial that is refused is said; it is in the
    /// table with the reason.
    ///
    /// # Errors
    /// All that is wrong with the pipeline, a value that is wrong by itself, and what is wrong with the first trial where
    /// all are refused.
    pub fn check(&self, out: &Path, session: &Session) -> Result<()> {
        let Sweep { file, trials, base, .. } = self;
        let request = Request::of_students(out, &file.sweep.seeds, trials.len());
        let mut checker = Checker::new(request, session);
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for trial in trials {
            must_matter(trial, &self.settings(trial)?)?;
        }
        checker.base(base)?;
        for trial in trials {
            match checker.trial(&self.settings(trial)?) {
                Ok(()) => accepted.push(trial),
                Err(error) => refused.push((trial, stopped_or(error)?)),
            }
        }
        for (trial, error) in &refused {
            for change in trial.iter().filter(|change| !accepted.iter().any(|trial| trial.contains(change))) {
                let change = std::slice::from_ref(change);
                checker.trial(&self.settings(change)?).with_context(|| shown(change))?;
            }
            tracing::warn!("{}: {error:#}", shown(trial));
        }
        if accepted.is_empty()
            && let Some((_, first)) = refused.into_iter().next()
        {
            return Err(first).context("every trial is refused; the first error");
        }
        if matches!(file.sweep.method, Method::Random | Method::Halving) && trials.len() < file.sweep.trials {
            let (found, asked) = (trials.len(), file.sweep.trials);
            session.messages.status(&format!("[space] holds {found} different trials, fewer than {asked}"));
        }
        Ok(())
    }

    /// Runs all trials. Finished ones are not run again.
    ///
    /// # Errors
    /// Whatever stopped it, with the trial's changes; where no trial could be run, what the first one met.
    pub fn run(&self, out: &Path, session: Session) -> Result<Table> {
        let _lock = pipeline::lock(out, RunOptions::default())?;
        Table::check(out)?;
        let pipelines = pipelines(&self.trials);
        let searcher =
            Searcher { sweep: self, file: self.file, session, out, pipelines, failed: HashMap::new() };
        let table = searcher.search(&self.trials, self.base.student.train.epochs)?;
        trial::one_must_be_trained(table.rows.iter().flat_map(|row| &row.results))?;
        Ok(table)
    }

    /// The pipeline's settings with a trial's changes.
    fn settings(&self, changes: &[(String, toml::Value)]) -> Result<Settings> {
        (self.settings)(changes)
    }
}

/// What is wrong with a trial; a stop is not.
fn stopped_or(error: RunError) -> Result<RunError> {
    match error.category() {
        Category::Stopped => Err(error),
        _ => Ok(error),
    }
}

/// Whether a setting only affects what is written, or what else is trained: the student does not depend on it.
fn is_idle(key: &str) -> bool {
    let of_student = ["student.no_teacher_baseline", "student.baseline_init", "student.require_teacher"];
    let (table, name) = key.split_once('.').unwrap_or_default();
    let of_files = ["log_every", "checkpoint_steps", "checkpoint_minutes", "keep_last"];
    of_student.contains(&key)
        || (["student", "pretrain", "finetune"].contains(&table) && of_files.contains(&name))
        || key == "teacher.shard_rows"
}

/// Whether a setting is not the same in all trials that set it.
fn varies(key: &str, trials: &[Changes]) -> bool {
    let mut values = trials.iter().flatten().filter(|(name, _)| name == key).map(|(_, value)| value);
    values.next().is_some_and(|first| values.any(|other| other != first))
}

/// Refuses a change of what the pipeline does not do: its trials would be equal.
fn must_matter(changes: &Changes, settings: &Settings) -> Result<()> {
    let start = &settings.student.start;
    for (key, _) in changes {
        let why = if key.starts_with("finetune.") && !connect::finetunes(settings) {
            "the pipeline does not fine-tune a teacher: finetune.model is not set"
        } else if key.starts_with("pretrain.") && !connect::pretrains(settings) {
            "the pipeline does not pretrain a model: pretrain.model is not set"
        } else if (key.starts_with("augment.") || key.starts_with("teacher.")) && start.targets.is_some() {
            "the student learns from the stores in student.targets, which this setting does not change"
        } else {
            continue;
        };
        return Err(RunError::usage(format!("[space] {key:?}: {why}")));
    }
    Ok(())
}

/// The different changes that trials make to the stages before the student.
fn pipelines(trials: &[Changes]) -> Vec<Changes> {
    let mut found: Vec<Changes> = Vec::new();
    for before in trials.iter().map(upstream) {
        if !found.contains(&before) {
            found.push(before);
        }
    }
    found
}

/// The name of a trial's directory.
fn directory(changes: &Changes, epochs: Option<u32>) -> String {
    let name = name_of(changes);
    epochs.map_or(name.clone(), |epochs| format!("{name}-epochs-{epochs}"))
}

struct Searcher<'a> {
    sweep: &'a Sweep<'a>,
    file: &'a SweepFile,
    session: Session,
    out: &'a Path,
    pipelines: Vec<Changes>,
    /// Why one of their directories has no soft targets.
    failed: HashMap<PathBuf, Failed>,
}

impl Searcher<'_> {
    /// Runs all trials. The table is written after each.
    fn search(mut self, trials: &[Changes], epochs: u32) -> Result<Table> {
        let sweep = &self.file.sweep;
        let mut metric = None;
        for seed in sweep.seeds.clone() {
            self.session.seed = seed;
            for changes in self.pipelines.clone() {
                let directory = self.before(seed, &changes);
                if let Err(failed) = trial::answer(self.soft_targets(seed, &changes))? {
                    self.failed.insert(directory, failed);
                    continue;
                }
                let connected = connect::connected(self.settings(seed, &changes)?, &directory);
                let stage = StudentStage::new(&connected, None);
                metric = Some(stage.compared_by(sweep.metric).context("[sweep] metric")?);
            }
        }
        // Where no pipeline came as far as its soft targets, every trial fails and nothing is compared.
        let metric = metric.unwrap_or_else(|| sweep.metric.resolve(TaskId::default()));
        let rounds = match sweep.method {
            Method::Halving => rounds(sweep, epochs, trials.len()),
            _ => vec![(epochs, trials.len())],
        };
        if sweep.method == Method::Halving && rounds.len() < sweep.rungs as usize {
            let (found, asked) = (rounds.len(), sweep.rungs);
            self.session.messages.status(&format!(
                "{found} rounds instead of {asked}, because {epochs} epochs cannot be divided further by {}",
                sweep.eta
            ));
        }
        self.rounds(trials, &rounds, metric)
    }

    fn rounds(&mut self, trials: &[Changes], rounds: &[(u32, usize)], metric: Metric) -> Result<Table> {
        let halving = self.file.sweep.method == Method::Halving;
        let mut table = Table { sweep: self.file.sweep.clone(), metric, rows: Vec::new(), is_whole: false };
        let mut chosen: Vec<usize> = (0..trials.len()).collect();
        let mut is_comparable = false;
        for (round, (epochs, count)) in rounds.iter().enumerate() {
            chosen.truncate(*count);
            let first = table.rows.len();
            for trial in &chosen {
                let epochs = halving.then_some(*epochs);
                let results = self.trial(*trial, &trials[*trial], epochs)?;
                if let Some(figures) = results.iter().find_map(|(_, outcome)| outcome.as_ref().ok())
                    && !is_comparable
                {
                    table.metric = trial::comparable(self.file.sweep.metric, metric, figures)?;
                    is_comparable = true;
                }
                let (changes, metric) = (trials[*trial].clone(), table.metric);
                let directory = PathBuf::from("trials").join(directory(&changes, epochs));
                table.rows.push(Row { trial: *trial, round, epochs, changes, directory, results });
                table.rows[first..].sort_by(|left, right| right.rank(metric).total_cmp(&left.rank(metric)));
                table.write(self.out)?;
            }
            chosen = table.rows[first..].iter().map(|row| row.trial).collect();
        }
        table.is_whole = true;
        table.write(self.out)?;
        Ok(table)
    }

    fn of_seed(&self, seed: u64) -> PathBuf {
        self.out.join(format!("seed-{seed}"))
    }

    /// Where the stages before the students of these changes are.
    fn before(&self, seed: u64, changes: &Changes) -> PathBuf {
        match upstream(changes) {
            none if none.is_empty() => self.of_seed(seed),
            some => self.of_seed(seed).join(format!("pipeline-{}", name_of(&some))),
        }
    }

    /// The pipeline with these changes. Its teacher is that of all trials which change nothing of the teacher.
    fn settings(&self, seed: u64, changes: &Changes) -> Result<Settings> {
        let settings = self.sweep.settings(changes)?;
        let theirs = self.before(seed, &of_teacher(changes));
        if connect::finetunes(&settings) && theirs != self.before(seed, changes) {
            return Ok(connect::with_teacher_of(settings, &theirs));
        }
        Ok(settings)
    }

    /// Runs the stages before the students of these changes.
    fn soft_targets(&self, seed: u64, changes: &Changes) -> Result<()> {
        let (teachers, directory) = (of_teacher(changes), self.before(seed, changes));
        let theirs = self.before(seed, &teachers);
        if theirs != directory {
            let settings = self.sweep.settings(&teachers)?;
            pipeline::up_to(Extent::Teacher, &settings, &theirs, RunOptions::default(), &self.session)?;
        }
        pipeline::up_to(
            Extent::Targets,
            &self.settings(seed, changes)?,
            &directory,
            RunOptions::default(),
            &self.session,
        )
    }

    /// One trial with every seed.
    fn trial(&mut self, trial: usize, changes: &Changes, epochs: Option<u32>) -> Result<Vec<(u64, Outcome)>> {
        let number = trial + 1;
        let name = directory(changes, epochs);
        let mut results = Vec::new();
        for seed in self.file.sweep.seeds.clone() {
            self.session.seed = seed;
            let before = self.before(seed, changes);
            if let Some(failed) = self.failed.get(&before) {
                results.push((seed, Err(failed.clone())));
                continue;
            }
            let settings = connect::connected(self.settings(seed, changes)?, &before);
            let mut settings = connect::with_copies(&settings, &before);
            if let Some(epochs) = epochs {
                settings.student.train.epochs = epochs;
            }
            self.session.messages.status(&format!("── trial {number} (seed {seed}): {}", shown(changes)));
            let directory = self.of_seed(seed).join("trials").join(&name);
            let stage = StudentStage::new(&settings, connect::rows_to_join(&settings));
            let outcome = trial::student(&self.session, &stage, &directory).with_context(|| shown(changes))?;
            results.push((seed, outcome));
        }
        Ok(results)
    }
}
