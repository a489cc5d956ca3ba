//! Taking a stage's directory: its content is checked under its lock, so that of two runs that start at
//! once one works and the other one leaves.

use std::path::Path;

use distill_core::lock::must_be_free;
use distill_core::record::{RUN_FILE, RunRecord};

use crate::error::Result;
use crate::outdir::seen::Seen;
use crate::outdir::{Found, OutDir, foreign, overlap, swap};
use crate::plan::{self, Plan, Planned, Replace};
use crate::session::Session;
use crate::stage::Stage;

/// A planned stage, and its directory if there is anything to do.
pub enum Lease<'a> {
    /// Its result exists.
    UpToDate(Box<RunRecord>),
    /// It has to run, and why.
    Run {
        /// Its inputs and its record so far.
        planned: Box<Planned<'a>>,
        /// Locked, and rid of what does not belong to the run.
        out: OutDir,
        /// For people.
        why: String,
    },
}

/// Plans a stage and takes its directory. The lock comes before the inputs are hashed, unless a finished
/// result lies there, which is only looked at as long as it is up to date.
///
/// # Errors
/// [`crate::error::RunError`] where the directory holds something that may not be replaced;
/// [`distill_core::lock::LockError`] where another run owns it; those of planning.
pub fn take<'a>(stage: &'a dyn Stage, session: &Session, path: &Path, replace: Replace) -> Result<Lease<'a>> {
    overlap::check(&stage.reads(), path)?;
    if swap::is_begun(path) {
        drop(OutDir::lock(path)?);
    }
    let locked = match OutDir::look(path)? {
        Found::Run(done) if !done.results.is_empty() => {
            must_be_free(path)?;
            None
        }
        Found::Foreign(name) if replace != Replace::All => {
            must_be_free(path)?;
            return Err(foreign(path, &name));
        }
        _ => Some(OutDir::lock(path)?),
    };
    let seen = Seen::of(stage.reads());
    let planned = plan::prepare(stage, session)?;
    if locked.is_none()
        && let Plan::UpToDate(done) = Plan::of(stage, path, &planned.record, replace)?
    {
        tidy(stage, path);
        return Ok(Lease::UpToDate(done));
    }
    let mut out = match locked {
        Some(out) => out,
        None => OutDir::lock(path)?,
    };
    out.watch(seen);
    let why = match Plan::of(stage, path, &planned.record, replace)? {
        Plan::UpToDate(done) => return Ok(Lease::UpToDate(done)),
        Plan::Place(done) => {
            out.resume(true)?;
            stage.clean_up(&out)?;
            out.swap_in()?;
            return Ok(Lease::UpToDate(done));
        }
        Plan::Resume { is_staged } => {
            out.resume(is_staged)?;
            "it was stopped before its end".to_owned()
        }
        Plan::Redo(why) => {
            tracing::info!("{}: {why}; repeating it", path.display());
            out.start_over(stage.works_in_place())?;
            why
        }
        Plan::Run(why) => {
            out.start_over(stage.works_in_place())?;
            why
        }
    };
    if out.path() != path && path.join(RUN_FILE).exists() {
        tracing::info!("the result in {} is kept until the new one is complete", path.display());
    }
    Ok(Lease::Run { planned: Box::new(planned), out, why })
}

/// Removes what a run that was killed at its very end still left. Where that fails, nothing is the worse for it.
fn tidy(stage: &dyn Stage, path: &Path) {
    if !stage.has_left_overs(path) && !swap::has_left_overs(path) {
        return;
    }
    let tidied = OutDir::lock(path).and_then(|out| stage.clean_up(&out));
    if let Err(error) = tidied {
        tracing::debug!("{}: {error}", path.display());
    }
}
