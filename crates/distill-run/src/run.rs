//! `distill run`: every stage of a pipeline file that is out of date.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use distill_core::lock::must_be_free;
use distill_core::record::RunRecord;
use distill_data::logits::Portion;
use serde_json::{Map, Value, json};

use crate::augment::{self, AugmentStage};
use crate::check::{self, Request};
use crate::claim::{self, Claim, Replace};
use crate::error::{Failure, Status};
use crate::figures::seconds;
use crate::finetune::FinetuneStage;
use crate::outdir::{OutDir, overlap};
use crate::report::{Named, ReportStage};
use crate::session::Session;
use crate::settings::{Settings, Targets};
use crate::stage::{self, Finished, Stage, Todo};
use crate::student::StudentStage;
use crate::teacher::TeacherStage;
use crate::trial;

/// How a pipeline is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// Repeat every stage, also those with a result.
    pub overwrite: bool,
    /// Only say what would be run.
    pub dry_run: bool,
}

/// Runs the stages of a pipeline in `out` that are out of date, after a check of all of it.
///
/// # Errors
/// All problems of the pipeline as one error; whatever stopped a stage, with the stage's name.
pub fn pipeline(
    settings: Settings,
    session: &Session,
    out: &Path,
    options: RunOptions,
) -> anyhow::Result<AllWent> {
    check::before_run(&settings, Request::of_run(out, &[], options.overwrite), session)?;
    let settings = connected(settings, out);
    let went = Pipeline { options, session, out, extent: Extent::Whole }.run(&settings)?;
    if !options.dry_run && settings.data.test.is_none() {
        session.messages.status(NO_REPORT);
    }
    Ok(went)
}

/// Said at the end of a pipeline without held-out rows.
pub(crate) const NO_REPORT: &str = "no report: data.test is not set";

/// Refuses duplicate seeds.
///
/// # Errors
/// Wrong usage, with the seed.
pub fn check_seeds(seeds: &[u64]) -> anyhow::Result<()> {
    match trial::repeated(seeds) {
        Some(seed) => bail!(Failure::usage(format!("--seeds contains {seed} more than once"))),
        None => Ok(()),
    }
}

/// Runs the stages of settings as far as the teacher or the soft targets, in `out`.
///
/// # Errors
/// Whatever stopped a stage, with the stage's name.
pub fn up_to(
    extent: Extent,
    settings: &Settings,
    out: &Path,
    options: RunOptions,
    session: &Session,
) -> anyhow::Result<()> {
    let settings = connected(settings.clone(), out);
    Pipeline { options, session, out, extent }.run(&settings).map(|_| ())
}

/// `out`, else `runs/` and the pipeline file's name.
pub fn out_directory(settings: &Settings, pipeline: &Path) -> PathBuf {
    let name = pipeline.file_stem().unwrap_or_default();
    settings.out.clone().unwrap_or_else(|| Path::new("runs").join(name))
}

/// Each stage's inputs are the results of the stages before, unless the file names others.
pub fn connected(mut settings: Settings, out: &Path) -> Settings {
    let finetuned = out.join("teacher/model");
    if settings.finetune.model.is_some() {
        settings.teacher.model.get_or_insert_with(|| finetuned.clone());
    }
    let teacher = settings.teacher.model.clone().unwrap_or(finetuned);
    if settings.student.train.has_intermediate_losses() {
        settings.student.start.teacher_model.get_or_insert_with(|| teacher.clone());
    }
    settings.student.start.init.get_or_insert(teacher);
    settings.student.start.targets.get_or_insert_with(|| Targets::One(out.join("targets")));
    settings
}

/// The same settings with the teacher of the pipeline in `out`, which is not fine-tuned again.
pub fn with_teacher_of(mut settings: Settings, out: &Path) -> Settings {
    settings.teacher = connected(settings.clone(), out).teacher;
    settings.finetune.model = None;
    settings
}

/// The settings of the stages after `augmented`, which read its result.
pub fn with_copies(settings: &Settings, out: &Path) -> Settings {
    let mut settings = settings.clone();
    if settings.augment.adds_rows() {
        settings.data.train = Some(out.join("augmented").join(augment::ROWS_FILE));
    }
    settings
}

/// The rows that a student reads in addition to a store without texts; none for a store with texts.
pub fn rows_beside(settings: &Settings) -> Option<PathBuf> {
    settings.data.train.clone().filter(|_| !settings.teacher.text)
}

/// Takes the directory of a pipeline for its whole run, so that no other one mixes its stages into it. Where nothing may
/// be written there is no need: a stage that has to be run fails by itself.
///
/// # Errors
/// [`distill_core::lock::LockError`] where another run owns it; where it cannot be made.
pub fn lock(out: &Path, options: RunOptions) -> anyhow::Result<Option<OutDir>> {
    if options.dry_run {
        return Ok(None);
    }
    match OutDir::claim(out) {
        Err(error) if out.is_dir() && is_read_only(&error) => {
            must_be_free(out)?;
            Ok(None)
        }
        claimed => Ok(Some(claimed?)),
    }
}

fn is_read_only(error: &anyhow::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    matches!(kind, Some(PermissionDenied | ReadOnlyFilesystem))
}

/// The models that a pipeline's report compares.
pub fn report_models(settings: &Settings, out: &Path) -> Vec<Named> {
    let mut models = vec![Named::new("teacher", settings.teacher.model.clone().unwrap_or_default())];
    models.push(Named::new("student", out.join("student/model")));
    if settings.student.start.no_teacher_baseline {
        models.push(Named::new("baseline", out.join("baseline/model")));
    }
    models
}

/// How far a pipeline is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of its stages.
    Whole,
    /// All but the report.
    Models,
    /// As far as the soft targets, without results on stdout.
    Targets,
    /// Only the fine-tuned teacher, without results on stdout.
    Teacher,
}

/// A pipeline in its directory.
pub struct Pipeline<'a> {
    /// How it is run.
    pub options: RunOptions,
    /// What runs it.
    pub session: &'a Session,
    /// Directory of its stages.
    pub out: &'a Path,
    /// How far it is to run.
    pub extent: Extent,
}

/// A stage with its directory's name and the stages whose results it reads.
pub struct Step<'a> {
    /// The name.
    pub name: &'static str,
    /// The stage.
    pub stage: &'a dyn Stage,
    /// Names of the stages before.
    pub needs: &'static [&'static str],
}

/// How all stages went.
pub struct AllWent {
    /// The last status that was not done.
    pub status: Status,
    /// What `--json` prints, by stage: whether it ran, why, and its figures.
    pub stages: Map<String, Value>,
    /// Whether a dry run would run any.
    pub planned: bool,
}

/// How one stage went.
struct Went {
    status: Status,
    /// Whether it was run now.
    ran: bool,
    /// Why it was run or would be, or none where it is up to date.
    why: Option<String>,
    /// What to show, where there is anything.
    text: Option<String>,
    /// Figures, where it has run.
    results: BTreeMap<String, Value>,
}

impl Pipeline<'_> {
    /// Runs the stages of connected settings.
    ///
    /// # Errors
    /// Whatever stopped a stage, with the stage's name.
    pub fn run(&self, settings: &Settings) -> anyhow::Result<AllWent> {
        let trains_student = matches!(self.extent, Extent::Whole | Extent::Models);
        let student = &settings.student.start;
        // A student may learn only from other stores.
        let own = self.out.join("targets");
        let is_used = student.targets.as_ref().is_none_or(|targets| targets.directories().contains(&own));
        let _lock = lock(self.out, self.options)?;
        let models = report_models(settings, self.out);
        let labelled = with_copies(settings, self.out);
        let rows = rows_beside(&labelled);

        let student_after = (trains_student && is_used).then_some(&settings.student.train);
        let finetune = FinetuneStage { settings, student_after };
        let augment = AugmentStage { settings };
        let teacher = TeacherStage { settings: &labelled, portion: Portion::WHOLE };
        let with_teacher = StudentStage::new(settings, rows.clone()).in_pipeline();
        let without_teacher = StudentStage::without_teacher(settings, rows);
        let report = ReportStage { settings, models, predictions: Vec::new(), writes_card: true };

        let mut steps: Vec<Step<'_>> = Vec::new();
        if settings.finetune.model.is_some() {
            steps.push(Step { name: "teacher", stage: &finetune, needs: &[] });
        }
        if settings.augment.adds_rows() {
            let needs: &[&str] = if settings.augment.replace > 0.0 { &["teacher"] } else { &[] };
            steps.push(Step { name: "augmented", stage: &augment, needs });
        }
        if is_used {
            steps.push(Step { name: "targets", stage: &teacher, needs: &["teacher", "augmented"] });
        }
        steps.push(Step { name: "student", stage: &with_teacher, needs: &["teacher", "targets"] });
        if student.no_teacher_baseline {
            steps.push(Step { name: "baseline", stage: &without_teacher, needs: &["teacher", "targets"] });
        }
        if settings.data.test.is_some() && self.extent == Extent::Whole {
            steps.push(Step { name: "report", stage: &report, needs: &["teacher", "student", "baseline"] });
        }
        match self.extent {
            Extent::Whole | Extent::Models => (),
            Extent::Targets => steps.retain(|step| !["student", "baseline"].contains(&step.name)),
            Extent::Teacher => steps.retain(|step| step.name == "teacher"),
        }
        self.run_steps(&steps, Vec::new())
    }

    /// Runs steps in turn. `planned` are names of stages that a dry run would run before them.
    ///
    /// # Errors
    /// Whatever stopped a stage, with the stage's name.
    pub fn run_steps(&self, steps: &[Step<'_>], mut planned: Vec<&'static str>) -> anyhow::Result<AllWent> {
        let mut status = Status::Done;
        let mut all = Map::new();
        for (number, step) in steps.iter().enumerate() {
            let place = format!("── stage {} of {} ── {}", number + 1, steps.len(), step.name);
            let earlier = step.needs.iter().find(|name| planned.contains(*name)).copied();
            let went = self.run_step(step, &place, earlier).with_context(|| format!("stage {}", step.name))?;
            if went.why.is_some() && !went.ran {
                planned.push(step.name);
            }
            if went.status != Status::Done {
                status = went.status;
            }
            let entry = json!({"ran": went.ran, "why": went.why, "results": went.results});
            all.insert(step.name.to_owned(), entry);
            if let Some(text) = went.text.filter(|_| matches!(self.extent, Extent::Whole | Extent::Models)) {
                self.session.messages.result(&text)?;
            }
        }
        Ok(AllWent { status, stages: all, planned: !planned.is_empty() })
    }

    /// Runs a stage unless its result is up to date. `place` says which of how many it is. `after` names an earlier stage
    /// that a dry run would run first, so that this one's inputs are not known yet.
    fn run_step(&self, step: &Step<'_>, place: &str, after: Option<&str>) -> anyhow::Result<Went> {
        let (name, directory) = (step.name, self.out.join(step.name));
        if let Some(earlier) = after {
            return Ok(would_run(name, Some(format!("{earlier} runs first"))));
        }
        self.session.stop.check()?;
        let replace = if self.options.overwrite { Replace::All } else { Replace::Stale };
        if self.options.dry_run {
            overlap::check(&step.stage.reads(), &directory)?;
            let planned = stage::plan(step.stage, self.session)?;
            let why = match claim::todo(step.stage, &directory, &planned, replace)? {
                Todo::Nothing(_) => None,
                Todo::Rest { .. } | Todo::Settle(_) => Some("it was stopped before its end".to_owned()),
                Todo::Again(why) | Todo::All(why) => Some(why),
            };
            return Ok(would_run(name, why));
        }
        let (planned, out, why) = match claim::claim(step.stage, self.session, &directory, replace)? {
            Claim::Run { planned, out, why } => (planned, out, why),
            Claim::UpToDate(done) => {
                self.session.messages.status(&format!("{place}: up to date"));
                step.stage.publish(self.session, &directory)?;
                return Ok(repeat(step, &done));
            }
        };
        self.session.messages.status(&format!(
            "{place}: {} → {} ({why})",
            step.stage.command(),
            directory.display()
        ));
        let start = std::time::Instant::now();
        let finished = stage::run_into(step.stage, self.session, out, *planned)?;
        self.session.messages.status(&format!("{place}: done in {}", seconds(start.elapsed())));
        step.stage.publish(self.session, &directory)?;
        Ok(Went {
            status: finished.status,
            ran: true,
            why: Some(why),
            text: Some(finished.text),
            results: finished.results,
        })
    }
}

/// The answer of a dry run.
fn would_run(name: &str, why: Option<String>) -> Went {
    let text = match &why {
        None => format!("{name}: up to date"),
        Some(why) => format!("{name}: would run, because {why}"),
    };
    Went { status: Status::Done, ran: false, why, text: Some(text), results: BTreeMap::new() }
}

/// A stage that is up to date: a report is shown again, and its gates are applied again.
fn repeat(step: &Step<'_>, done: &RunRecord) -> Went {
    let Finished { status, results, text } = Finished::from_record(done);
    let shown = step.stage.command() == "report";
    Went { status, ran: false, why: None, text: shown.then_some(text), results }
}
