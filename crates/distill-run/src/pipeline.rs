//! `distill run`: every stage of a pipeline file that is out of date.

use std::collections::BTreeMap;
use std::path::Path;

use distill_core::lock::must_be_free;
use distill_core::record::RunRecord;
use distill_data::logits::ShardSpec;
use serde_json::{Map, Value, json};

use crate::augment::AugmentStage;
use crate::check::{self, Request};
use crate::connect::{self, PRETRAINED, connected, report_models, rows_to_join, with_copies};
use crate::error::{Context, Result, RunError, Status};
use crate::execute;
use crate::figures::seconds;
use crate::finetune::FinetuneStage;
use crate::lease::{self, Lease};
use crate::outdir::{OutDir, overlap};
use crate::plan::{self, Plan, Replace};
use crate::pretrain::PretrainStage;
use crate::report::ReportStage;
use crate::session::Session;
use crate::settings::Settings;
use crate::stage::{Finished, Stage};
use crate::student::StudentStage;
use crate::teacher::TeacherStage;

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
/// ```no_run
/// use std::path::Path;
///
/// use distill_run::pipeline::{self, RunOptions};
/// use distill_run::session::Session;
/// use distill_run::settings::Settings;
///
/// let settings: Settings = toml::from_str(&std::fs::read_to_string("pipelines/trec.toml")?).unwrap();
/// let session = Session::new(&settings.runtime)?;
/// let report = pipeline::run(settings, &session, Path::new("runs/trec"), RunOptions::default())?;
/// println!("{}", report.stages["student"]["results"]["validation"]["accuracy"]);
/// # Ok::<(), distill_run::error::RunError>(())
/// ```
///
/// # Errors
/// All problems of the pipeline as one error; whatever stopped a stage, with the stage's name.
pub fn run(settings: Settings, session: &Session, out: &Path, options: RunOptions) -> Result<PipelineReport> {
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
) -> Result<()> {
    let settings = connected(settings.clone(), out);
    Pipeline { options, session, out, extent }.run(&settings).map(|_| ())
}

/// Takes the directory of a pipeline for its whole run, so that no other one mixes its stages into it. Where nothing may
/// be written there is no need: a stage that has to be run fails by itself.
///
/// # Errors
/// [`distill_core::lock::LockError`] where another run owns it; where it cannot be made.
pub fn lock(out: &Path, options: RunOptions) -> Result<Option<OutDir>> {
    if options.dry_run {
        return Ok(None);
    }
    match OutDir::lock(out) {
        Err(error) if out.is_dir() && is_read_only(&error) => {
            must_be_free(out)?;
            Ok(None)
        }
        claimed => Ok(Some(claimed?)),
    }
}

fn is_read_only(error: &RunError) -> bool {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let kind =
        error.causes().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    matches!(kind, Some(PermissionDenied | ReadOnlyFilesystem))
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
    /// Only the fine-tuned teacher and what it starts from, without results on stdout.
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
pub struct PipelineReport {
    /// The last status that was not done.
    pub status: Status,
    /// What `--json` prints, by stage: whether it ran, why, and its figures.
    pub stages: Map<String, Value>,
    /// Whether a dry run would run any.
    pub planned: bool,
}

/// How one stage went.
struct StageReport {
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
    pub fn run(&self, settings: &Settings) -> Result<PipelineReport> {
        let trains_student = matches!(self.extent, Extent::Whole | Extent::Models);
        let student = &settings.student.start;
        // A student may learn only from other stores.
        let own = self.out.join("targets");
        let is_used = student.targets.as_ref().is_none_or(|targets| targets.directories().contains(&own));
        let _lock = lock(self.out, self.options)?;
        let models = report_models(settings, self.out);
        let labelled = with_copies(settings, self.out);
        let rows = rows_to_join(&labelled);

        let student_after = (trains_student && is_used).then_some(&settings.student.train);
        let finetune = FinetuneStage { settings, student_after };
        let augment = AugmentStage { settings };
        let teacher = TeacherStage { settings: &labelled, shard: ShardSpec::WHOLE };
        let with_teacher = StudentStage::new(settings, rows.clone()).in_pipeline();
        let without_teacher = StudentStage::without_teacher(settings, rows);
        let report = ReportStage { settings, models, predictions: Vec::new(), writes_card: true };

        let pretrain = PretrainStage { settings };
        let mut steps: Vec<Step<'_>> = Vec::new();
        if connect::pretrains(settings) {
            steps.push(Step { name: PRETRAINED, stage: &pretrain, needs: &[] });
        }
        if settings.finetune.model.is_some() {
            steps.push(Step { name: "teacher", stage: &finetune, needs: &[PRETRAINED] });
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
            Extent::Teacher => steps.retain(|step| [PRETRAINED, "teacher"].contains(&step.name)),
        }
        self.run_steps(&steps, Vec::new())
    }

    /// Runs steps in turn. `planned` are names of stages that a dry run would run before them.
    ///
    /// # Errors
    /// Whatever stopped a stage, with the stage's name.
    pub fn run_steps(&self, steps: &[Step<'_>], mut planned: Vec<&'static str>) -> Result<PipelineReport> {
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
        Ok(PipelineReport { status, stages: all, planned: !planned.is_empty() })
    }

    /// Runs a stage unless its result is up to date. `place` says which of how many it is. `after` names an earlier stage
    /// that a dry run would run first, so that this one's inputs are not known yet.
    fn run_step(&self, step: &Step<'_>, place: &str, after: Option<&str>) -> Result<StageReport> {
        let (name, directory) = (step.name, self.out.join(step.name));
        if let Some(earlier) = after {
            return Ok(would_run(name, Some(format!("{earlier} runs first"))));
        }
        self.session.stop.check()?;
        let replace = if self.options.overwrite { Replace::All } else { Replace::Stale };
        if self.options.dry_run {
            overlap::check(&step.stage.reads(), &directory)?;
            let planned = plan::prepare(step.stage, self.session)?;
            let why = match Plan::of(step.stage, &directory, &planned.record, replace)? {
                Plan::UpToDate(_) => None,
                Plan::Resume { .. } | Plan::Place(_) => Some("it was stopped before its end".to_owned()),
                Plan::Redo(why) | Plan::Run(why) => Some(why),
            };
            return Ok(would_run(name, why));
        }
        let (planned, out, why) = match lease::take(step.stage, self.session, &directory, replace)? {
            Lease::Run { planned, out, why } => (planned, out, why),
            Lease::UpToDate(done) => {
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
        let finished = execute::run_into(step.stage, self.session, out, *planned)?;
        self.session.messages.status(&format!("{place}: done in {}", seconds(start.elapsed())));
        step.stage.publish(self.session, &directory)?;
        Ok(StageReport {
            status: finished.status,
            ran: true,
            why: Some(why),
            text: Some(finished.text),
            results: finished.results,
        })
    }
}

/// The answer of a dry run.
fn would_run(name: &str, why: Option<String>) -> StageReport {
    let text = match &why {
        None => format!("{name}: up to date"),
        Some(why) => format!("{name}: would run, because {why}"),
    };
    StageReport { status: Status::Done, ran: false, why, text: Some(text), results: BTreeMap::new() }
}

/// A stage that is up to date: a report is shown again, and its gates are applied again.
fn repeat(step: &Step<'_>, done: &RunRecord) -> StageReport {
    let Finished { status, results, text } = Finished::from_record(done);
    let shown = step.stage.command() == "report";
    StageReport { status, ran: false, why: None, text: shown.then_some(text), results }
}
