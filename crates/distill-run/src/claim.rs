//! Taking a stage's directory: its content is checked under its lock, so that of two runs that start at
//! once one works and the other one leaves.

use std::path::Path;

use anyhow::bail;
use distill_core::lock::must_be_free;
use distill_core::record::{RUN_FILE, RunRecord};

use crate::error::Failure;
use crate::outdir::seen::Seen;
use crate::outdir::{Found, OutDir, overlap, swap};
use crate::session::Session;
use crate::stage::{Stage, Todo, plan, stale};

/// A planned stage, and its directory if there is anything to do.
pub enum Claim {
    /// Its result exists.
    UpToDate(Box<RunRecord>),
    /// It has to run, and why.
    Run {
        /// Its record so far.
        planned: Box<RunRecord>,
        /// Locked, and rid of what does not belong to the run.
        out: OutDir,
        /// For people.
        why: String,
    },
}

/// What a run may do to a directory that holds the result of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Nothing: it is refused.
    Never,
    /// A result that is out of date is made again; anything else is refused.
    Stale,
    /// Whatever stages write is removed.
    All,
}

/// Plans a stage and takes its directory. The lock comes before the inputs are hashed, unless a finished
/// result lies there, which is only looked at as long as it is up to date.
///
/// # Errors
/// [`Failure`] where the directory holds something that may not be replaced;
/// [`distill_core::lock::LockError`] where another run owns it; those of planning.
pub fn claim(stage: &dyn Stage, session: &Session, path: &Path, replace: Replace) -> anyhow::Result<Claim> {
    overlap::check(&stage.reads(), path)?;
    if swap::is_begun(path) {
        drop(OutDir::claim(path)?);
    }
    let locked = match OutDir::look(path)? {
        Found::Run(done) if !done.results.is_empty() => {
            must_be_free(path)?;
            None
        }
        Found::Foreign(name) if replace != Replace::All => {
            must_be_free(path)?;
            bail!(foreign(path, &name));
        }
        _ => Some(OutDir::claim(path)?),
    };
    let seen = Seen::of(stage.reads());
    let planned = plan(stage, session)?;
    if locked.is_none()
        && let Todo::Nothing(done) = todo(stage, path, &planned, replace)?
    {
        tidy(stage, path);
        return Ok(Claim::UpToDate(done));
    }
    let mut out = match locked {
        Some(out) => out,
        None => OutDir::claim(path)?,
    };
    out.watch(seen);
    let why = match todo(stage, path, &planned, replace)? {
        Todo::Nothing(done) => return Ok(Claim::UpToDate(done)),
        Todo::Settle(done) => {
            out.go_on(true)?;
            stage.clean_up(&out)?;
            out.settle()?;
            return Ok(Claim::UpToDate(done));
        }
        Todo::Rest { is_staged } => {
            out.go_on(is_staged)?;
            "it was stopped before its end".to_owned()
        }
        Todo::Again(why) => {
            tracing::info!("{}: {why}; repeating it", path.display());
            out.start_over(stage.works_in_place())?;
            why
        }
        Todo::All(why) => {
            out.start_over(stage.works_in_place())?;
            why
        }
    };
    if out.path() != path && path.join(RUN_FILE).exists() {
        tracing::info!("the result in {} is kept until the new one is complete", path.display());
    }
    Ok(Claim::Run { planned: Box::new(planned), out, why })
}

/// Compares a plan with the content of its directory.
///
/// # Errors
/// [`Failure`] where that may not be replaced.
pub fn todo(stage: &dyn Stage, path: &Path, planned: &RunRecord, replace: Replace) -> anyhow::Result<Todo> {
    let found = OutDir::look(path)?;
    let is_done = |done: &RunRecord| stale(done, planned).is_none() && !done.results.is_empty();
    if let Found::Run(done) = &found
        && replace != Replace::All
        && is_done(done)
    {
        return Ok(stage.missing(path)?.map_or(Todo::Nothing(done.clone()), Todo::Again));
    }
    // The run that began it was allowed to replace the existing result.
    let is_foreign = matches!(found, Found::Foreign(_)) && replace != Replace::All;
    if let Some(staged) = OutDir::staged(path)?
        && !is_foreign
        && stale(&staged, planned).is_none()
    {
        return Ok(match staged.results.is_empty() {
            true => Todo::Rest { is_staged: true },
            false => Todo::Settle(Box::new(staged)),
        });
    }
    Ok(match found {
        _ if replace == Replace::All => Todo::All("--overwrite".to_owned()),
        Found::Empty => Todo::All("there is no result yet".to_owned()),
        Found::Foreign(name) => bail!(foreign(path, &name)),
        Found::Run(done) => match stale(&done, planned) {
            Some(why) if replace == Replace::Never => bail!(Failure::cannot_create(format!(
                "{} contains another run ({why}); choose another directory or give --overwrite",
                path.display()
            ))),
            Some(why) => Todo::All(why),
            None if stage.works_in_place() => Todo::Rest { is_staged: false },
            None => Todo::All("it was stopped before its end".to_owned()),
        },
    })
}

/// Removes what a run that was killed at its very end still left. Where that fails, nothing is the worse for it.
fn tidy(stage: &dyn Stage, path: &Path) {
    if !stage.has_left_overs(path) && !swap::has_left_overs(path) {
        return;
    }
    let tidied = OutDir::claim(path).and_then(|out| stage.clean_up(&out));
    if let Err(error) = tidied {
        tracing::debug!("{}: {error}", path.display());
    }
}

/// The refusal of a directory that holds anything but a run.
pub fn foreign(path: &Path, name: &str) -> Failure {
    Failure::cannot_create(format!(
        "{} is not empty (it contains {name}); choose another directory or give --overwrite",
        path.display()
    ))
}
