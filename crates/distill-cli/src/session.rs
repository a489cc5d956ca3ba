//! What a command runs in: logging, time limit, device and threads, progress.

use std::sync::Arc;

use distill_core::StopSignal;
pub use distill_run::session::{Session, dtype_name};
use distill_run::session::{go_without_locks, stop_signal};

use crate::args::Common;
use crate::output::console::Console;
use crate::output::logging;
use crate::output::progress::Display;
use crate::settings::RuntimeSettings;

/// Starts logging, the time limit and what `--offline` asks for, checks libtorch and takes the device.
///
/// # Errors
/// For a device or dtype that cannot be had, a libtorch of another release, and a `--trace` that cannot be written.
pub fn start(common: &Common, settings: &RuntimeSettings) -> anyhow::Result<Session> {
    begin(common)?;
    session(common, settings)
}

/// As [`start`], with a timeline of where time goes.
///
/// # Errors
/// As [`start`].
pub fn start_with_timeline(common: &Common, settings: &RuntimeSettings) -> anyhow::Result<Session> {
    logging::start_with_timeline(common)?;
    stop_by(common);
    session(common, settings)
}

fn session(common: &Common, settings: &RuntimeSettings) -> anyhow::Result<Session> {
    let mut session = Session::new(settings)?;
    session.progress = Arc::new(Display::new(common));
    session.messages = Arc::new(Console { json: common.json });
    Ok(session)
}

/// Starts logging and the time limit: all that a command needs which computes nothing.
///
/// # Errors
/// [`distill_core::atomic::FileError`] where `--trace` names a file that could not be written.
pub fn begin(common: &Common) -> anyhow::Result<StopSignal> {
    logging::start(common)?;
    Ok(stop_by(common))
}

fn stop_by(common: &Common) -> StopSignal {
    if common.offline {
        distill_hub::stay_offline();
    }
    if common.no_lock {
        go_without_locks();
    }
    let stop = stop_signal().clone();
    if let Some(limit) = common.max_time {
        stop.set_deadline(std::time::Instant::now() + limit);
    }
    stop
}
