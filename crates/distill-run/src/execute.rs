//! Runs a stage: alone, or into a directory that was taken for it.

use std::io::ErrorKind;
use std::path::Path;

use distill_core::Category;
use distill_core::atomic::FileError;
use distill_core::record::RunRecord;
use distill_student::checkpoint::CHECKPOINTS;

use crate::error::{Result, RunError, Status};
use crate::lease::{self, Lease};
use crate::outdir::names::PROGRESS_FILE;
use crate::outdir::{OutDir, overlap};
use crate::plan::{self, Planned, Replace};
use crate::session::Session;
use crate::stage::{Finished, GATE_FAILED, Stage, TEXT};

/// What a stage would do in `out` by itself: its record, without results.
///
/// # Errors
/// Where an input is missing or cannot be read; [`RunError`] where the directory holds something else.
pub fn dry_run(stage: &dyn Stage, session: &Session, out: &Path, overwrite: bool) -> Result<RunRecord> {
    overlap::check(&stage.reads(), out)?;
    if !overwrite {
        OutDir::refuse_foreign(out)?;
    }
    Ok(plan::prepare(stage, session)?.record)
}

/// Runs one stage by itself. If its result is up to date, nothing is done; a stopped one is resumed. What is to be
/// written elsewhere is left to [`Stage::publish`].
///
/// # Errors
/// Whatever stopped it; [`RunError`] where the directory holds another run.
pub fn run_alone(stage: &dyn Stage, session: &Session, out: &Path, overwrite: bool) -> Result<Finished> {
    let replace = if overwrite { Replace::All } else { Replace::Never };
    match lease::take(stage, session, out, replace)? {
        Lease::Run { planned, out, .. } => run_into(stage, session, out, *planned),
        Lease::UpToDate(done) => {
            session.messages.status(&format!("{} is up to date; --overwrite repeats it", out.display()));
            Ok(Finished::from_record(&done))
        }
    }
}

/// Runs a planned stage and writes its record with results last: that is the completion mark.
///
/// # Errors
/// Whatever stopped it.
pub fn run_into(
    stage: &dyn Stage,
    session: &Session,
    mut out: OutDir,
    planned: Planned<'_>,
) -> Result<Finished> {
    let Planned { prepared, mut record } = planned;
    if out.is_resumed() {
        tracing::info!("resuming the run in {}", out.target().display());
    }
    let mut finished = match prepared.execute(session, &out, &record) {
        Ok(finished) => finished,
        Err(error) => {
            // A failure that would repeat does not leave a run to resume.
            if !out.is_resumed() && !can_resume(&error) {
                out.rollback()?;
            }
            return Err(if is_full(&error) { error.context(after_a_full_disk(&out)) } else { error });
        }
    };
    if let Some(changed) = changed_input(stage, session, &out, &record) {
        out.discard()?;
        return Err(RunError::data(changed));
    }
    record.results.clone_from(&finished.results);
    record.results.insert(TEXT.to_owned(), finished.text.clone().into());
    record.results.insert(GATE_FAILED.to_owned(), (finished.status == Status::GateFailed).into());
    out.complete(&mut record)?;
    stage.clean_up(&out)?;
    out.swap_in()?;
    finished.results = record.results;
    Ok(finished)
}

/// What is to be said of an input that is another one now than when the run began. One that was only touched, or written
/// again as it was, is the same.
fn changed_input(stage: &dyn Stage, session: &Session, out: &OutDir, record: &RunRecord) -> Option<String> {
    let file = out.changed_input()?;
    match stage.prepare(session) {
        Ok(now) if now.inputs == record.inputs => None,
        _ => Some(format!(
            "{} changed while it was read, so the result was discarded; run the command again",
            file.display()
        )),
    }
}

/// Whether the same command may get further than this failure: it was stopped, the disk was full, or a
/// directory did not let it write.
fn can_resume(error: &RunError) -> bool {
    matches!(error.category(), Category::Stopped | Category::Io | Category::CannotCreate)
}

/// Whether there was no more space, on the disk or for this user.
fn is_full(error: &RunError) -> bool {
    let is_full = |kind| matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    error.causes().any(|cause| {
        let file = cause.downcast_ref::<FileError>().map(|error| error.source.kind());
        let system = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        file.or(system).is_some_and(is_full)
    })
}

/// What to do when a disk is full, depending on the content of the directory.
fn after_a_full_disk(out: &OutDir) -> String {
    let kept = [CHECKPOINTS, PROGRESS_FILE].iter().any(|name| out.path().join(name).exists());
    let then = if kept {
        "which resumes from the last checkpoint"
    } else {
        "which starts from the beginning, because no checkpoint was written"
    };
    format!("the disk is full: free some space and run the same command again, {then}")
}
