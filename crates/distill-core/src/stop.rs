//! How a run is asked to stop, and how its loops notice.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use thiserror::Error;

use crate::category::Category;

/// Why a run stopped before its end. Running the same command again resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StopReason {
    /// SIGINT.
    #[error("stopped by SIGINT")]
    Interrupt,
    /// SIGTERM.
    #[error("stopped by SIGTERM")]
    Terminate,
    /// SIGUSR1, a scheduler's warning that the time limit is near.
    #[error("stopped by SIGUSR1")]
    User1,
    /// The time of `--max-time` has passed.
    #[error("stopped by the time limit")]
    TimeLimit,
}

impl StopReason {
    /// Always [`Category::Stopped`].
    pub fn category(&self) -> Category {
        Category::Stopped
    }
}

/// A shared flag that every long loop checks. Clones share the flag and the time limit.
#[derive(Clone, Debug, Default)]
pub struct StopSignal {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    flag: AtomicU8,
    deadline: OnceLock<Instant>,
    unsaved: AtomicU32,
}

/// Marks work that must be saved after a stop was requested. Dropping the value ends the mark.
#[derive(Debug)]
pub struct Unsaved {
    shared: Arc<Shared>,
}

impl Drop for Unsaved {
    fn drop(&mut self) {
        self.shared.unsaved.fetch_sub(1, Ordering::SeqCst);
    }
}

impl StopSignal {
    /// A signal that is not raised, with an optional time limit.
    pub fn new(deadline: Option<Instant>) -> Self {
        let stop = StopSignal::default();
        if let Some(deadline) = deadline {
            stop.set_deadline(deadline);
        }
        stop
    }

    /// Sets the time limit of all clones. Only the first call has an effect.
    pub fn set_deadline(&self, deadline: Instant) {
        self.shared.deadline.get_or_init(|| deadline);
    }

    /// Marks that a stop has to save work first. The process is not ended by force before that; all other work can be
    /// interrupted without loss.
    pub fn unsaved_work(&self) -> Unsaved {
        self.shared.unsaved.fetch_add(1, Ordering::SeqCst);
        Unsaved { shared: Arc::clone(&self.shared) }
    }

    /// Whether there is such work now.
    pub fn has_unsaved_work(&self) -> bool {
        self.shared.unsaved.load(Ordering::SeqCst) > 0
    }

    /// Asks every holder to stop. Safe to call from a signal handler.
    pub fn raise(&self, reason: StopReason) {
        let code = match reason {
            StopReason::Interrupt => 1,
            StopReason::Terminate => 2,
            StopReason::User1 => 3,
            StopReason::TimeLimit => 4,
        };
        self.shared.flag.store(code, Ordering::SeqCst);
    }

    /// The reason to stop, if any.
    pub fn reason(&self) -> Option<StopReason> {
        match self.shared.flag.load(Ordering::SeqCst) {
            1 => Some(StopReason::Interrupt),
            2 => Some(StopReason::Terminate),
            3 => Some(StopReason::User1),
            4 => Some(StopReason::TimeLimit),
            _ if self.shared.deadline.get().is_some_and(|deadline| Instant::now() >= *deadline) => {
                Some(StopReason::TimeLimit)
            }
            _ => None,
        }
    }

    /// For loops: an error once a stop was requested.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_flag_the_limit_and_what_is_unsaved() {
        let stop = StopSignal::default();
        let clone = stop.clone();
        assert!(clone.check().is_ok());
        stop.set_deadline(Instant::now());
        assert_eq!(clone.reason(), Some(StopReason::TimeLimit));
        stop.raise(StopReason::User1);
        assert_eq!(clone.reason(), Some(StopReason::User1), "a signal says more than the limit");
        let (first, second) = (stop.unsaved_work(), clone.unsaved_work());
        drop(first);
        assert!(stop.has_unsaved_work());
        drop(second);
        assert!(!clone.has_unsaved_work());
    }
}
