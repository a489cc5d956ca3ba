//! The learning rate over a run: a warmup, then a course.

use crate::plan::LearningRatePlan;
use crate::settings::ScheduleChoice;

/// The peak divided by this is where one-cycle begins, as PyTorch's `div_factor`.
const ONE_CYCLE_START: f64 = 25.0;
/// Its beginning divided by this is where it ends, as PyTorch's `final_div_factor`.
const ONE_CYCLE_END: f64 = 1e4;
/// Steps by which an inverse square root without warmup counts, as `transformers`' default timescale.
const TIMESCALE: f64 = 10_000.0;

/// A learning rate for each step of a known number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    course: ScheduleChoice,
    peak: f64,
    warmup_ratio: f64,
    warmup_steps: u64,
    total_steps: u64,
}

impl Schedule {
    /// A course that rises for `ceil(warmup_ratio · total_steps)` steps first, but not for all of them: a run of one
    /// step would not move otherwise.
    pub fn new(course: ScheduleChoice, peak: f64, warmup_ratio: f64, total_steps: u64) -> Self {
        let warmup_steps =
            ((warmup_ratio * total_steps as f64).ceil() as u64).min(total_steps.saturating_sub(1));
        Schedule { course, peak, warmup_ratio, warmup_steps, total_steps }
    }

    /// A plan over this many steps.
    pub fn of(plan: &LearningRatePlan, total_steps: u64) -> Self {
        Self::new(plan.schedule, plan.peak, plan.warmup_ratio, total_steps)
    }

    /// Learning rate of the step after `global_step` finished ones.
    ///
    /// Sources: `transformers`' `get_constant_…`, `get_linear_…`, `get_cosine_…` and
    /// `get_inverse_sqrt_schedule…_with_warmup`; `torch.optim.lr_scheduler.OneCycleLR`, with
    /// `cycle_momentum=False`, after Smith & Topin 2017, arXiv:1708.07120, who also move the momentum.
    pub fn learning_rate(&self, global_step: u64) -> f64 {
        if self.course == ScheduleChoice::OneCycle {
            return self.one_cycle(global_step);
        }
        if global_step < self.warmup_steps {
            return self.peak * global_step as f64 / self.warmup_steps.max(1) as f64;
        }
        let left = self.total_steps.saturating_sub(global_step) as f64;
        let behind_warmup = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        match self.course {
            ScheduleChoice::Constant | ScheduleChoice::OneCycle => self.peak,
            ScheduleChoice::Linear => self.peak * left / behind_warmup,
            ScheduleChoice::Cosine => {
                let done = (1.0 - left / behind_warmup).max(0.0);
                self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            ScheduleChoice::InverseSqrt => {
                let timescale = if self.warmup_steps == 0 { TIMESCALE } else { self.warmup_steps as f64 };
                let shift = timescale - self.warmup_steps as f64;
                self.peak / ((global_step as f64 + shift) / timescale).sqrt()
            }
        }
    }

    fn one_cycle(&self, global_step: u64) -> f64 {
        let step = global_step.min(self.total_steps.saturating_sub(1)) as f64;
        let (start, top) = (self.peak / ONE_CYCLE_START, self.warmup_ratio * self.total_steps as f64 - 1.0);
        let between = |from: f64, to: f64, done: f64| {
            to + (from - to) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
        };
        if step <= top {
            return between(start, self.peak, if top > 0.0 { step / top } else { 1.0 });
        }
        let last = self.total_steps as f64 - 1.0;
        let done = if last > top { (step - top) / (last - top) } else { 1.0 };
        between(self.peak, start / ONE_CYCLE_END, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_course(course: ScheduleChoice, warmup_ratio: f64, expected: &[f64]) {
        let schedule = Schedule::new(course, 1.0, warmup_ratio, 10);
        for (step, value) in expected.iter().enumerate() {
            let found = schedule.learning_rate(step as u64);
            assert!((found - value).abs() < 1e-9, "{course:?}, step {step}: {found}, expected {value}");
        }
    }

    /// ```python
    /// o = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.)
    /// s = get_linear_schedule_with_warmup(o, 2, 10)     # get_cosine_…, get_constant_…, get_inverse_sqrt_schedule
    /// for _ in range(11): print(s.get_last_lr()[0]); o.step(); s.step()
    /// ```
    #[test]
    fn equals_transformers_schedules() {
        let linear = [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0];
        assert_course(ScheduleChoice::Linear, 0.2, &linear);
        assert_course(ScheduleChoice::Constant, 0.2, &[0.0, 0.5, 1.0, 1.0, 1.0]);
        let cosine = [
            0.0,
            0.5,
            1.0,
            0.961_939_766_255_643_4,
            0.853_553_390_593_273_7,
            0.691_341_716_182_544_8,
            0.5,
            0.308_658_283_817_455_2,
            0.146_446_609_406_726_24,
            0.038_060_233_744_356_63,
            0.0,
        ];
        assert_course(ScheduleChoice::Cosine, 0.2, &cosine);
        let inverse = [0.0, 0.5, 1.0, 0.816_496_580_927_726, 0.707_106_781_186_547_5, 0.632_455_532_033_675_9];
        assert_course(ScheduleChoice::InverseSqrt, 0.2, &inverse);
    }

    /// ```python
    /// s = torch.optim.lr_scheduler.OneCycleLR(o, 1., total_steps=10, pct_start=.3, cycle_momentum=False)
    /// ```
    #[test]
    fn equals_pytorchs_one_cycle() {
        let one_cycle = [
            0.04,
            0.52,
            1.0,
            0.950_484_632_013_473_7,
            0.811_745_653_949_763_1,
            0.611_262_021_936_289_3,
            0.388_741_978_063_710_75,
            0.188_258_346_050_237_05,
            0.049_519_367_986_526_286,
            4e-6,
        ];
        assert_course(ScheduleChoice::OneCycle, 0.3, &one_cycle);
    }

    #[test]
    fn a_run_of_one_step_moves() {
        use ScheduleChoice::{Constant, Cosine, InverseSqrt, Linear};
        for course in [Constant, Linear, Cosine, InverseSqrt] {
            assert_eq!(Schedule::new(course, 3.0, 0.1, 1).learning_rate(0), 3.0);
        }
    }

    #[test]
    fn without_warmup_the_first_step_has_the_peak() {
        use ScheduleChoice::{Constant, Cosine, InverseSqrt, Linear};
        for course in [Constant, Linear, Cosine, InverseSqrt] {
            assert_eq!(Schedule::new(course, 3.0, 0.0, 4).learning_rate(0), 3.0);
        }
    }
}
