//! How a run is asked to stop, and how its loops notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Instant;

use thiserror::Error;

use crate::category::Category;

/// Why a run stopped before its end. Running the same command again goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StopReason {
    /// SIGINT.
    #[error("stopped by SIGINT")]
    Interrupt,
    /// SIGTERM.
    #[error("stopped by SIGTERM")]
    Terminate,
    /// SIGUSR1, a scheduler's warning that time is nearly up.
    #[error("stopped by SIGUSR1")]
    User1,
    /// `--max-time` is over.
    #[error("stopped by the time limit")]
    TimeLimit,
}

impl StopReason {
    /// Always [`Category::Stopped`].
    pub fn category(&self) -> Category {
        Category::Stopped
    }
}

/// A shared flag that every long loop asks. Clones see the same flag.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    flag: Arc<AtomicU8>,
    deadline: Option<Instant>,
}

impl StopSignal {
    /// A signal that nobody has raised, with an optional time limit.
    pub fn new(deadline: Option<Instant>) -> Self {
        StopSignal { flag: Arc::default(), deadline }
    }

    /// Asks every holder to stop. Safe to call from a signal handler.
    pub fn raise(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Interrupt => 1,
            StopReason::Terminate => 2,
            StopReason::User1 => 3,
            StopReason::TimeLimit => 4,
        };
        self.flag.store(code, Ordering::SeqCst);
    }

    /// Why to stop, or none.
    pub fn reason(&self) -> Option<StopReason> {
        match self.flag.load(Ordering::SeqCst) {
            1 => Some(StopReason::Interrupt),
            2 => Some(StopReason::Terminate),
            3 => Some(StopReason::User1),
            4 => Some(StopReason::TimeLimit),
            _ if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                Some(StopReason::TimeLimit)
            }
            _ => None,
        }
    }

    /// For loops: an error once a stop was asked for.
    ///
    /// # Errors
    /// The [`StopReason`].
    pub fn check(&self) -> Result<(), StopReason> {
        match self.reason() {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }
}
