//! What each subcommand does with its arguments: settings, a session, one call of `distill-run`, and printing.
//!
//! [`stages`] has the single stages, [`pipelines`] what runs a pipeline file. [`targets`], [`cache`], [`inspect`] and
//! [`doctor`] show what exists, [`mod@compare`] compares two reports, [`mod@bench`] measures time.

mod bench;
mod cache;
mod compare;
mod doctor;
mod inspect;
mod pipelines;
mod stages;
mod targets;

use distill_core::Category;

use crate::args::{Args, Command};
use crate::exit::{self, RunError, Status};

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it; [`crate::exit`] makes the exit code of it.
pub fn dispatch(args: Args) -> anyhow::Result<Status> {
    let resumes = resumes(&args.command);
    run_command(args).map_err(|error| match exit::category(&error) {
        Category::Stopped if resumes => {
            let what = exit::chain(&error);
            RunError::of(Category::Stopped, format!("{what}; the same command resumes it")).into()
        }
        _ => error,
    })
}

/// Whether the same command continues where a stopped one ended, rather than at its beginning.
fn resumes(command: &Command) -> bool {
    use Command::{Ablate, Finetune, Pretrain, Run, Student, Sweep, Teacher};
    matches!(command, Pretrain(_) | Finetune(_) | Teacher(_) | Student(_) | Run(_) | Sweep(_) | Ablate(_))
}

fn run_command(args: Args) -> anyhow::Result<Status> {
    match args.command {
        Command::Pretrain(args) => stages::pretrain(&args),
        Command::Finetune(args) => stages::finetune(&args),
        Command::Augment(args) => stages::augment(&args),
        Command::Teacher(args) => stages::teacher(&args),
        Command::Student(args) => stages::student(&args),
        Command::Report(args) => stages::report(&args),
        Command::Predict(args) => stages::predict(&args),
        Command::Run(args) => pipelines::run(&args.pipeline),
        Command::Check(args) => pipelines::check(&args.pipeline),
        Command::Inspect(args) => inspect::command(&args),
        Command::Ablate(args) => pipelines::ablate(&args),
        Command::Sweep(args) => pipelines::sweep(&args),
        Command::Bench(args) => bench::command(&args),
        Command::Doctor(args) => doctor::command(&args),
        Command::Tokenizer(args) => stages::tokenizer(&args),
        Command::Targets(args) => targets::command(&args),
        Command::Cache(args) => cache::command(&args),
    }
}
