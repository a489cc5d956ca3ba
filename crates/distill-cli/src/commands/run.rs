//! `distill run`: every stage of a pipeline file that is out of date.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::args::Run;
use crate::commands::finetune::FinetuneStage;
use crate::commands::outdir::OutDir;
use crate::commands::report::{Named, ReportStage};
use crate::commands::stage::{self, Finished, Stage, Todo};
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
    if args.common.config.is_some() {
        bail!(Failure::usage("--config is for single stages: the pipeline file holds the settings of a run"));
    }
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
    Ran(Finished),
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
        let mut results = serde_json::Map::new();
        for (name, stage) in stages {
            let went = self.run_stage(name, *stage, rerun).with_context(|| format!("stage {name}"))?;
            match went {
                Went::UpToDate => {}
                Went::Planned => rerun = Some(*name),
                Went::Ran(finished) => {
                    if finished.status != Status::Done {
                        status = finished.status;
                    }
                    if self.args.common.json {
                        results.insert((*name).to_owned(), serde_json::to_value(&finished.results)?);
                    } else {
                        printer::result(&format!("{}\n", finished.text))?;
                    }
                }
            }
        }
        if self.args.common.json && !self.args.common.dry_run {
            printer::result(&serde_json::to_string_pretty(&results)?)?;
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
        let todo = match stage::todo(&directory, &planned)? {
            _ if self.args.overwrite => Todo::All("--overwrite".to_owned()),
            todo => todo,
        };
        if self.args.common.dry_run {
            let text = match &todo {
                Todo::Nothing(_) => format!("{name}: up to date"),
                Todo::Rest => format!("{name}: would go on from where it was stopped"),
                Todo::All(why) => format!("{name}: would run, because {why}"),
            };
            printer::result(&text)?;
            return Ok(if let Todo::Nothing(_) = todo { Went::UpToDate } else { Went::Planned });
        }
        let (out, why) = match todo {
            Todo::Nothing(done) => {
                talk(&format!("── {name}: up to date"));
                // A report is shown again, and its gates count again.
                let shown = stage.command() == "report";
                return Ok(if shown { Went::Ran(Finished::from_record(&done)) } else { Went::UpToDate });
            }
            Todo::Rest => (OutDir::go_on(&directory)?, "going on from where it was stopped".to_owned()),
            Todo::All(why) => (OutDir::prepare(&directory)?, why),
        };
        talk(&format!("── {name}: {} ({why})", stage.command()));
        let start = std::time::Instant::now();
        let finished = stage::run_into(stage, self.session, out, planned)?;
        talk(&format!("── {name}: done in {}", seconds(start.elapsed())));
        Ok(Went::Ran(finished))
    }
}
