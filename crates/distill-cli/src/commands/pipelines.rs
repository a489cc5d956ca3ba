//! `distill run`, `check`, `sweep` and `ablate`: commands over a pipeline file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use distill_run::ablate::Ablation;
use distill_run::check::{self, Request};
use distill_run::pipeline::{self, RunOptions};
use distill_run::sweep::{Sweep, SweepFile, shown};
use distill_run::{connect, seeds};

use crate::args;
use crate::exit::{self, RunError, Status};
use crate::output::printer;
use crate::session;
use crate::settings::flags::Flags;
use crate::settings::layers;

/// Runs `distill run`.
///
/// # Errors
/// Whatever stopped a stage, with the stage's name.
pub fn run(args: &args::Pipeline) -> anyhow::Result<Status> {
    check_arguments(args)?;
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let out = connect::out_directory(&settings, &args.file);
    let options = RunOptions { overwrite: args.overwrite, dry_run: args.common.dry_run };
    let (status, stages, failed) = if args.seeds.is_empty() {
        let went = pipeline::run(settings, &session, &out, options)?;
        (went.status, went.stages, None)
    } else {
        let went = seeds::run(&args.seeds, session, &settings, &out, options)?;
        (went.status, went.stages, went.failed)
    };
    if args.common.json {
        printer::json(&serde_json::to_string_pretty(&stages)?)?;
    }
    failed.map_or(Ok(status), |failed| Err(failed.into()))
}

/// Refuses flags that contradict each other.
fn check_arguments(args: &args::Pipeline) -> anyhow::Result<()> {
    if args.common.config.is_some() {
        bail!(RunError::usage("--config is not accepted here: the pipeline file has the settings of a run"));
    }
    if !args.seeds.is_empty() && args.common.seed.is_some() {
        bail!(RunError::usage("give either --seed or --seeds"));
    }
    Ok(connect::check_seeds(&args.seeds)?)
}

/// Runs `distill check`.
///
/// # Errors
/// All that is wrong with the pipeline, as one error.
pub fn check(args: &args::Pipeline) -> anyhow::Result<Status> {
    check_arguments(args)?;
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let out = connect::out_directory(&settings, &args.file);
    let request = Request { fetch: false, ..Request::of_run(&out, &args.seeds, args.overwrite) };
    let found = check::look(&settings, request, &session)?;
    printer::result(&if args.common.json { found.json()? } else { found.text() })?;
    found.problems.into_result(&*session.messages)?;
    Ok(Status::Done)
}

/// Runs `distill sweep`.
///
/// # Errors
/// Whatever stopped it, with the trial's changes.
pub fn sweep(args: &args::Sweep) -> anyhow::Result<Status> {
    if args.common.config.is_some() || args.common.seed.is_some() {
        bail!(RunError::usage(
            "--config and --seed are not accepted here: SWEEP.toml names the pipeline and the seeds"
        ));
    }
    let file = SweepFile::parse(&layers::read(&args.file)?, &args.file)?;
    let run = of_pipeline(file.sweep.pipeline.clone(), &args.common);
    // A trial's changes come after the command line's.
    let settings = |changes: &[(String, toml::Value)]| {
        let resolve = || {
            let mut layers = run.layers()?;
            for (key, value) in changes {
                layers.flag(key, Some(value.clone()));
            }
            layers.resolve().with_context(|| format!("[space] {}", shown(changes)))
        };
        resolve().map_err(|error: anyhow::Error| RunError::caused_by(exit::category(&error), error))
    };
    let sweep = Sweep::new(&file, &settings)?;
    let name = args.file.file_stem().unwrap_or_default();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(name));
    let session = session::start(&args.common, &sweep.base().runtime)?;
    sweep.check(&out, &session)?;
    if args.common.dry_run {
        printer::result(&sweep.names().join("\n"))?;
        return Ok(Status::Done);
    }
    let table = sweep.run(&out, session)?;
    if args.common.json { printer::json(&table.json()?) } else { printer::result(&table.text(&out)) }?;
    Ok(Status::Done)
}

/// Runs `distill ablate`.
///
/// # Errors
/// Whatever stopped it, with the component that was removed.
pub fn ablate(args: &args::Ablate) -> anyhow::Result<Status> {
    if args.common.config.is_some() || args.common.seed.is_some() {
        bail!(RunError::usage(
            "--config and --seed are not accepted here: give the pipeline file as an argument, and \
                              --seeds"
        ));
    }
    connect::check_seeds(&args.seeds)?;
    let name = args.pipeline.file_stem().unwrap_or_default().to_string_lossy();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("{name}-ablation")));
    let settings = of_pipeline(args.pipeline.clone(), &args.common).resolve()?;
    let runtime = settings.runtime.clone();
    let ablation = Ablation::of(settings)?;
    let session = session::start(&args.common, &runtime)?;
    ablation.check(&out, &args.seeds, &session)?;
    if args.common.dry_run {
        let names: Vec<String> = ablation.names().iter().map(|name| format!("without {name}")).collect();
        printer::result(&names.join("\n"))?;
        return Ok(Status::Done);
    }
    let table = ablation.run(&out, &args.seeds, session)?;
    if args.common.json { printer::json(&table.json()?) } else { printer::result(&table.text(&out)) }?;
    Ok(Status::Done)
}

/// The pipeline file that students are varied over.
fn of_pipeline(file: PathBuf, common: &args::Common) -> args::Pipeline {
    args::Pipeline { file, common: common.clone(), ..args::Pipeline::default() }
}
