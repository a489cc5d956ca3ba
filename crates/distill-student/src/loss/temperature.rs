//! The temperature over a run.

use crate::plan::TemperaturePlan;
use crate::settings::TemperatureSchedule;

/// `T` over a known number of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Temperature {
    plan: TemperaturePlan,
    total_steps: u64,
}

impl Temperature {
    /// A plan over this many steps.
    pub fn new(plan: TemperaturePlan, total_steps: u64) -> Self {
        Temperature { plan, total_steps }
    }

    /// `T` of the step after `global_step` finished ones: the start at the first, the end at the last.
    pub fn at(&self, global_step: u64) -> f64 {
        let last = self.total_steps.saturating_sub(1);
        let done = if last == 0 { 1.0 } else { global_step.min(last) as f64 / last as f64 };
        let TemperaturePlan { start, end, schedule } = self.plan;
        match schedule {
            TemperatureSchedule::Fixed => start,
            TemperatureSchedule::Linear => start + (end - start) * done,
            TemperatureSchedule::Cosine => {
                end + (start - end) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }

    /// The `T` that epochs are compared at: that of the last step.
    pub fn of_validation(&self) -> f64 {
        self.at(self.total_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_starts_and_ends_at_its_settings() {
        let of = |schedule| {
            let temperature = Temperature::new(TemperaturePlan { start: 8.0, end: 2.0, schedule }, 11);
            ([0, 5, 10, 99].map(|step| temperature.at(step)), temperature.of_validation())
        };
        assert_eq!(of(TemperatureSchedule::Fixed), ([8.0; 4], 8.0));
        assert_eq!(of(TemperatureSchedule::Linear), ([8.0, 5.0, 2.0, 2.0], 2.0));
        let (cosine, last) = of(TemperatureSchedule::Cosine);
        for (found, expected) in cosine.into_iter().zip([8.0, 5.0, 2.0, 2.0]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert!((last - 2.0).abs() < 1e-12);
    }
}
