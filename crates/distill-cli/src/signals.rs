//! Signals to stops: the first one asks the loops to end, a second one ends the process at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context;
use distill_core::lock::on_loss;
use distill_core::{Category, StopReason};
use distill_run::session::stop_signal;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::output::printer::{complain, status};

/// Time in which a command must end by itself after a signal. What is cut off then is what a kill may cut off
/// anywhere; only training says that it has something to save first.
const GRACE: Duration = Duration::from_secs(15);

/// Watches SIGINT, SIGTERM and SIGUSR1. Called first in the program, so that no loop runs unwatched.
///
/// # Errors
/// Where the system refuses a handler or a thread.
pub fn watch() -> anyhow::Result<()> {
    watch_files()?;
    let signals = [SIGINT, SIGTERM, SIGUSR1];
    let code = i32::from(Category::Stopped.exit_code());
    let asked = Arc::new(AtomicBool::new(false));
    for signal in signals {
        // In this order: the second signal finds the flag that the first one set. Both act inside the
        // handler, so that no thread that is stuck can keep the process alive.
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&asked))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&asked)))
            .context("cannot install signal handlers")?;
    }
    let mut signals = Signals::new(signals).context("cannot install signal handlers")?;
    let body = move || {
        if let Some(signal) = signals.forever().next() {
            let reason = match signal {
                SIGINT => StopReason::Interrupt,
                SIGTERM => StopReason::Terminate,
                _ => StopReason::User1,
            };
            stop_signal().raise(reason);
            status(&format!("{reason}; stopping, a second signal ends the run immediately"));
            end_late(reason, code);
        }
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(body)
        .context("cannot start the signal thread")?;
    Ok(())
}

/// Watches what the system says of files: by default either signal ends a process without a word.
fn watch_files() -> anyhow::Result<()> {
    // Over `ulimit -f`. Caught, it lets the write fail with its own error, which is told with the path as any other.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .context("cannot install signal handlers")?;
    distill_data::cache::explain_lost_pages(i32::from(Category::Io.exit_code()))
        .context("cannot install signal handlers")?;
    on_loss(|directory| {
        complain(&format!(
            "error: the lock of {} was taken over or removed while this run held it; its content may now belong to \
             another run",
            directory.display()
        ));
        signal_hook::low_level::exit(i32::from(Category::Io.exit_code()));
    });
    Ok(())
}

/// Ends the process where it has not ended by itself: one call into a library can take longer than a
/// scheduler waits.
fn end_late(reason: StopReason, code: i32) {
    let asked = Instant::now();
    while asked.elapsed() < GRACE || stop_signal().has_unsaved_work() {
        std::thread::sleep(Duration::from_millis(100));
    }
    complain(&format!("error: {reason}; ended by force after {} s", asked.elapsed().as_secs()));
    signal_hook::low_level::exit(code);
}
