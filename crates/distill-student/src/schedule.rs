//! The learning rate over a run: linear warmup, linear decay to 0.

/// A schedule over a known number of steps, as `transformers`' `get_linear_schedule_with_warmup`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearSchedule {
    peak: f64,
    warmup_steps: u64,
    total_steps: u64,
}

impl LinearSchedule {
    /// A schedule that rises for `ceil(warmup_ratio · total_steps)` steps and then falls to 0.
    pub fn new(peak: f64, warmup_ratio: f64, total_steps: u64) -> Self {
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let warmup_steps = (warmup_ratio * total_steps as f64).ceil() as u64;
        LinearSchedule { peak, warmup_steps, total_steps }
    }

    /// Learning rate of the step after `global_step` finished ones.
    #[allow(clippy::cast_precision_loss)]
    pub fn learning_rate(&self, global_step: u64) -> f64 {
        if global_step < self.warmup_steps {
            return self.peak * global_step as f64 / self.warmup_steps.max(1) as f64;
        }
        let left = self.total_steps.saturating_sub(global_step) as f64;
        self.peak * left / self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```python
    /// o = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    /// s = get_linear_schedule_with_warmup(o, 2, 10)
    /// for _ in range(11): print(s.get_last_lr()[0]); o.step(); s.step()
    /// ```
    #[test]
    fn equals_transformers_schedule() {
        let schedule = LinearSchedule::new(1.0, 0.2, 10);
        let expected = [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0];
        for (step, value) in expected.into_iter().enumerate() {
            assert!((schedule.learning_rate(step as u64) - value).abs() < 1e-12, "step {step}");
        }
    }

    #[test]
    fn without_warmup_the_first_step_has_the_peak() {
        assert_eq!(LinearSchedule::new(3.0, 0.0, 4).learning_rate(0), 3.0);
    }
}
