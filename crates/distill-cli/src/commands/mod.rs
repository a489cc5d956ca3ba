//! One file a subcommand.
//!
//! [`stage`] holds what finetune, teacher, student and report share: what they would do, whether
//! that was done already; [`inputs`] opens what they read, [`length`] says how much of a row they take, [`inference`] runs
//! a classifier over rows, [`claim`] and [`outdir`] say where the result goes and what it may replace, [`outfile`] the same
//! for single files. [`run`] strings them together, after [`check`] has found
//! nothing wrong. Beside
//! each other stand [`targets`], [`cache`] and [`doctor`], which look at what is there.

mod ablate;
mod augment;
mod bench;
mod cache;
mod check;
mod claim;
mod doctor;
mod finetune;
mod inference;
mod inputs;
mod inspect;
mod length;
mod masked;
mod neighbours;
mod outdir;
pub mod outfile;
mod predict;
mod predict_files;
mod report;
mod run;
mod seeds;
mod shard;
mod stage;
mod store_files;
mod student;
mod sweep;
mod targets;
mod teacher;
mod training;
mod trial;

use distill_core::Category;

use crate::args::{Args, Command};
use crate::exit::{self, Failure, Status};

/// Runs the subcommand.
///
/// # Errors
/// Whatever stopped it; [`crate::exit`] makes the exit code of it.
pub fn dispatch(args: Args) -> anyhow::Result<Status> {
    let resumes = resumes(&args.command);
    run_command(args).map_err(|error| match exit::category(&error) {
        Category::Stopped if resumes => {
            let what = exit::chain(&error);
            Failure::of(Category::Stopped, format!("{what}; the same command resumes it")).into()
        }
        _ => error,
    })
}

/// Whether the same command continues where a stopped one ended, rather than at its beginning.
fn resumes(command: &Command) -> bool {
    use Command::{Ablate, Finetune, Run, Student, Sweep, Teacher};
    matches!(command, Finetune(_) | Teacher(_) | Student(_) | Run(_) | Sweep(_) | Ablate(_))
}

fn run_command(args: Args) -> anyhow::Result<Status> {
    match args.command {
        Command::Finetune(args) => finetune::command(&args),
        Command::Augment(args) => augment::command(&args),
        Command::Teacher(args) => teacher::command(&args),
        Command::Student(args) => student::command(&args),
        Command::Report(args) => report::command(&args),
        Command::Predict(args) => predict::command(&args),
        Command::Run(args) => run::command(&args),
        Command::Check(args) => check::command(&args),
        Command::Inspect(args) => inspect::command(&args),
        Command::Ablate(args) => ablate::command(&args),
        Command::Sweep(args) => sweep::command(&args),
        Command::Bench(args) => bench::command(&args),
        Command::Doctor(args) => doctor::command(&args),
        Command::Targets(args) => targets::command(&args),
        Command::Cache(args) => cache::command(&args),
    }
}
