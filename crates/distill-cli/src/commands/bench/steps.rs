//! Wall time of training steps, also on a GPU, which continues to work after a step has returned.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use distill_core::Progress;
use tch::Device;

use super::ceiling::wait_for;

/// Watches a run from the first step's begin to the last step's end, both times with nothing left to do on the device.
/// The host does not wait for the steps between them, as in a real run.
pub struct Steps {
    device: Device,
    watched: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    began: Option<Instant>,
    total: u64,
    seconds: Option<f64>,
}

impl Steps {
    /// Of a run that has not begun.
    pub fn on(device: Device) -> Self {
        Steps { device, watched: Mutex::default() }
    }

    /// What all steps took, once the last one is done.
    pub fn seconds(&self) -> Option<f64> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).seconds
    }
}

impl Progress for Steps {
    fn begin(&self, _what: &str, total: u64, _unit: &'static str) {
        wait_for(self.device);
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) =
            Watched { began: Some(Instant::now()), total, seconds: None };
    }

    fn update(&self, done: u64, _note: &str) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if done == watched.total {
            wait_for(self.device);
            watched.seconds = watched.began.map(|began| began.elapsed().as_secs_f64());
        }
    }

    fn end(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_step_ends_the_time() {
        let steps = Steps::on(Device::Cpu);
        steps.begin("train", 2, "steps");
        steps.update(1, "");
        assert_eq!(steps.seconds(), None);
        steps.update(2, "");
        let seconds = steps.seconds().unwrap();
        steps.end();
        assert_eq!(steps.seconds(), Some(seconds));
    }
}
