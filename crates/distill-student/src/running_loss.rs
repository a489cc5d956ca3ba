//! The rows since the last logged line: their mean loss and how fast they went.

use std::time::Instant;

use tch::{Kind, Tensor};

/// Loss and time since the last line. The loss stays on the device until it is read.
#[derive(Debug)]
pub struct RunningLoss {
    /// Sum over rows of the loss, double `[]`.
    loss: Tensor,
    rows: usize,
    /// Rows since the clock was started.
    timed_rows: usize,
    since: Instant,
    note: String,
}

impl RunningLoss {
    /// An empty running.
    pub fn new() -> Self {
        RunningLoss {
            loss: Tensor::from(0f64),
            rows: 0,
            timed_rows: 0,
            since: Instant::now(),
            note: String::new(),
        }
    }

    /// Adds a step: its mean loss `[]` over `rows`.
    pub fn add(&mut self, loss: &Tensor, rows: usize) {
        let sum = loss.detach().to_kind(Kind::Double) * rows as f64;
        self.loss = &self.loss.to_device(sum.device()) + sum;
        self.rows += rows;
        self.timed_rows += rows;
    }

    /// Mean loss and rows a second; resets both.
    pub fn read(&mut self) -> (f64, f64) {
        let (sum, rows) = self.sums();
        let loss = if rows == 0 { f64::NAN } else { sum / rows as f64 };
        let rate = self.timed_rows as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        self.set_sums(0.0, 0);
        self.restart_clock();
        (loss, rate)
    }

    /// What was said of the last line, for people.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Says so until the next line.
    pub fn set_note(&mut self, note: String) {
        self.note = note;
    }

    /// Sum of the loss and number of rows, for a checkpoint.
    pub fn sums(&self) -> (f64, usize) {
        (self.loss.double_value(&[]), self.rows)
    }

    /// Puts [`RunningLoss::sums`] back.
    pub fn set_sums(&mut self, loss: f64, rows: usize) {
        self.loss = Tensor::from(loss);
        self.rows = rows;
    }

    /// Leaves the time of an evaluation out of the next figure.
    pub fn restart_clock(&mut self) {
        self.timed_rows = 0;
        self.since = Instant::now();
    }
}

impl Default for RunningLoss {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_rows_and_sums_survive_a_checkpoint_exactly() {
        let mut running = RunningLoss::new();
        running.add(&Tensor::from(1f32), 3);
        running.add(&Tensor::from(0.1f32), 1);
        let (sum, rows) = running.sums();
        let mut resumed = RunningLoss::new();
        resumed.set_sums(sum, rows);
        for running in [&mut running, &mut resumed] {
            running.add(&Tensor::from(0.3f32), 2);
        }
        assert_eq!(running.read().0.to_bits(), resumed.read().0.to_bits());
        assert!(running.read().0.is_nan());
    }
}
