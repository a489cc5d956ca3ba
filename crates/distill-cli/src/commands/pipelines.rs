//! `distill run`, `check`, `sweep` and `ablate`: commands over a pipeline file.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use distill_run::ablate::Ablation;
use distill_run::check::{self, Request};
use distill_run::run::{self, RunOptions};
use distill_run::seeds;
use distill_run::sweep::{Sweep, SweepFile, shown};

use crate::args;
use crate::exit::{Failure, Status};
use crate::output::printer;
use crate::session;
use crate::settings::flags::Flags;
use crate::settings::{Layers, layers};

/// Runs `distill run`.
///
/// # Errors
/// Whatever stopped a stage, with the stage's name.
pub fn run(args: &args::Run) -> anyhow::Result<Status> {
    check_arguments(args)?;
    let settings = args.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let out = run::out_directory(&settings, &args.pipeline);
    let options = RunOptions { overwrite: args.overwrite, dry_run: args.common.dry_run };
    let (status, stages, failed) = if args.seeds.is_empty() {
        let went = run::pipeline(settings, &session, &out, options)?;
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
fn check_arguments(args: &args::Run) -> anyhow::Result<()> {
    if args.common.config.is_some() {
        bail!(Failure::usage("--config is not accepted here: the pipeline file has the settings of a run"));
    }
    if !args.seeds.is_empty() && args.common.seed.is_some() {
        bail!(Failure::usage("give either --seed or --seeds"));
    }
    run::check_seeds(&args.seeds)
}

/// Runs `distill check`.
///
/// # Errors
/// All that is wrong with the pipeline, as one error.
pub fn check(args: &args::Check) -> anyhow::Result<Status> {
    let run = args::Run {
        pipeline: args.pipeline.clone(),
        out: args.out.clone(),
        seeds: args.seeds.clone(),
        overwrite: args.overwrite,
        common: args.common.clone(),
    };
    check_arguments(&run)?;
    let settings = run.resolve()?;
    let session = session::start(&args.common, &settings.runtime)?;
    let out = run::out_directory(&settings, &args.pipeline);
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
        bail!(Failure::usage(
            "--config and --seed are not accepted here: SWEEP.toml names the pipeline and the seeds"
        ));
    }
    let file = SweepFile::parse(&layers::read(&args.file)?, &args.file)?;
    let run = pipeline(file.sweep.pipeline.clone(), &args.common);
    // A trial's changes come after the command line's.
    let settings = |changes: &[(String, toml::Value)]| {
        let mut layers = run.layers()?;
        for (key, value) in changes {
            layers.flag(key, Some(value.clone()));
        }
        Layers::resolve(&layers).with_context(|| format!("[space] {}", shown(changes)))
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
        bail!(Failure::usage(
            "--config and --seed are not accepted here: give the pipeline file as an argument, and \
                              --seeds"
        ));
    }
    run::check_seeds(&args.seeds)?;
    let name = args.pipeline.file_stem().unwrap_or_default().to_string_lossy();
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(format!("{name}-ablation")));
    let settings = pipeline(args.pipeline.clone(), &args.common).resolve()?;
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

/// The arguments of `distill run` for the pipeline that students are varied over.
fn pipeline(pipeline: PathBuf, common: &args::Common) -> args::Run {
    args::Run { pipeline, out: None, seeds: Vec::new(), overwrite: false, common: common.clone() }
}
