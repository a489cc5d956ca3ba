//! `distill run`: every stage of a pipeline file that is out of date.

use std::path::{Path, PathBuf};

use anyhow::Context;
use distill_core::record::RunRecord;

use crate::args::Run;
use crate::commands::finetune::FinetuneStage;
use crate::commands::report::{Named, ReportStage};
use crate::commands::stage::{self, Stage};
use crate::commands::student::StudentStage;
use crate::commands::teacher::TeacherStage;
use crate::exit::{Failure, Status};
use crate::output::printer::{self, talk};
use crate::output::progress::seconds;
use crate::session::Session;
use crate::settings::Settings;
use crate::settings::flags::Flags;

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped a stage, with the stage's name.
pub fn command(args: &Run) -> anyhow::Result<Status> {
    let settings = args.resolve()?;
    let session = Session::start(&args.common, &settings.runtime)?;
    let out = out_directory(&settings, &args.pipeline);
    let settings = connected(settings, &out);
    Pipeline { args, session: &session, out: &out }.run(&settings)
}

/// `out`, else `runs/` and the pipeline file's name.
fn out_directory(settings: &Settings, pipeline: &Path) -> PathBuf {
    let name = pipeline.file_stem().unwrap_or_default();
    settings.out.clone().unwrap_or_else(|| Path::new("runs").join(name))
}

/// Each stage's inputs are the results of the stages before, unless the file names others.
fn connected(mut settings: Settings, out: &Path) -> Settings {
    let finetuned = out.join("teacher/model");
    if settings.finetune.model.is_some() {
        settings.teacher.model.get_or_insert_with(|| finetuned.clone());
    }
    let teacher = settings.teacher.model.clone().unwrap_or(finetuned);
    settings.student.start.init.get_or_insert(teacher);
    settings.student.start.targets.get_or_insert_with(|| out.join("targets"));
    settings
}

struct Pipeline<'a> {
    args: &'a Run,
    session: &'a Session,
    out: &'a Path,
}

/// How one stage went.
enum Went {
    UpToDate,
    Planned,
    Ran(Status, String),
}

impl Pipeline<'_> {
    fn run(&self, settings: &Settings) -> anyhow::Result<Status> {
        let student = &settings.student.start;
        let mut models = vec![Named {
            name: "teacher".to_owned(),
            path: settings.teacher.model.clone().unwrap_or_default(),
        }];
        models.push(Named { name: "student".to_owned(), path: self.out.join("student/model") });
        if student.no_teacher_baseline {
            models.push(Named { name: "baseline".to_owned(), path: self.out.join("baseline/model") });
        }
        let rows = if settings.teacher.text { None } else { settings.data.train.clone() };

        let finetune = FinetuneStage { settings };
        let teacher = TeacherStage { settings };
        let with_teacher = StudentStage::new(settings, rows.clone());
        let without_teacher = StudentStage::without_teacher(settings, rows);
        let report = ReportStage { settings, models, predictions: Vec::new() };

        let mut stages: Vec<(&str, &dyn Stage)> = Vec::new();
        if settings.finetune.model.is_some() {
            stages.push(("teacher", &finetune));
        }
        stages.push(("targets", &teacher));
        stages.push(("student", &with_teacher));
        if student.no_teacher_baseline {
            stages.push(("baseline", &without_teacher));
        }
        if settings.data.test.is_some() {
            stages.push(("report", &report));
        }
        self.run_stages(&stages)
    }

    fn run_stages(&self, stages: &[(&str, &dyn Stage)]) -> anyhow::Result<Status> {
        let mut status = Status::Done;
        let mut rerun = None;
        for (name, stage) in stages {
            let went = self.run_stage(name, *stage, rerun).with_context(|| format!("stage {name}"))?;
            match went {
                Went::UpToDate => {}
                Went::Planned => rerun = Some(*name),
                Went::Ran(stage_status, text) => {
                    if stage_status != Status::Done {
                        status = stage_status;
                    }
                    printer::result(&format!("{text}\n"))?;
                }
            }
        }
        if !self.args.common.dry_run && !stages.iter().any(|(name, _)| *name == "report") {
            talk("no report: data.test is not set");
        }
        Ok(status)
    }

    /// Runs a stage unless its result is there. `after` names an earlier stage that a dry run would
    /// run first, so that this one's inputs are not known yet.
    fn run_stage(&self, name: &str, stage: &dyn Stage, after: Option<&str>) -> anyhow::Result<Went> {
        let directory = self.out.join(name);
        if let Some(earlier) = after {
            printer::result(&format!("{name}: would run, because {earlier} runs before it"))?;
            return Ok(Went::Planned);
        }
        let planned = stage::plan(stage, self.session)?;
        let why = self.why(&directory, &planned);
        if self.args.common.dry_run {
            let text = match &why {
                None => format!("{name}: up to date"),
                Some(why) => format!("{name}: would run, because {why}"),
            };
            printer::result(&text)?;
            return Ok(if why.is_some() { Went::Planned } else { Went::UpToDate });
        }
        let Some(why) = why else {
            talk(&format!("── {name}: up to date"));
            return self.repeat(name, stage, &directory);
        };
        talk(&format!("── {name}: {} ({why})", stage.command()));
        let start = std::time::Instant::now();
        let finished = stage::run_into(stage, self.session, &directory, true, planned)?;
        talk(&format!("── {name}: done in {}", seconds(start.elapsed())));
        Ok(Went::Ran(finished.status, finished.text))
    }

    /// Why a stage has to run, or none.
    fn why(&self, directory: &Path, planned: &RunRecord) -> Option<String> {
        if self.args.overwrite {
            return Some("--overwrite".to_owned());
        }
        match RunRecord::read(directory) {
            Ok(done) => stage::stale(&done, planned),
            Err(_) => Some("no finished result is there".to_owned()),
        }
    }

    /// A report that is up to date is shown again, and its gates count again.
    fn repeat(&self, name: &str, stage: &dyn Stage, directory: &Path) -> anyhow::Result<Went> {
        if stage.command() != "report" {
            return Ok(Went::UpToDate);
        }
        let done = RunRecord::read(directory)?;
        let passed = done.results.get("gates_passed").and_then(serde_json::Value::as_bool);
        let text = done.results.get("text").and_then(serde_json::Value::as_str);
        match (passed, text) {
            (Some(passed), Some(text)) => {
                Ok(Went::Ran(if passed { Status::Done } else { Status::GateFailed }, text.to_owned()))
            }
            _ => Err(Failure::data(format!("{name}/run.json has no verdict; give --overwrite")).into()),
        }
    }
}
