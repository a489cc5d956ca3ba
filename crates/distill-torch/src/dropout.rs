//! Dropout with masks that depend only on a seed and a counter.
//!
//! On the CPU, libtorch draws its masks sequentially from one generator, which took 6% of a training step. These masks
//! are computed from the position (`native/dropout.cpp`) with all threads. On a
//! GPU libtorch draws, from a generator that is seeded for each pass. To resume from a checkpoint, two integers are
//! enough instead of a generator's state.

use std::cell::Cell;

use tch::{Device, Tensor};

use crate::error::TorchError;
use crate::ffi;

/// Source of dropout masks. Every mask advances the counter.
#[derive(Debug)]
pub struct Dropout {
    seed: u64,
    counter: Cell<u64>,
}

impl Dropout {
    /// Masks for a seed, starting with the first.
    pub fn new(seed: u64) -> Self {
        Self::at(seed, 0)
    }

    /// Masks for a seed, starting at a counter from [`Dropout::counter`].
    pub fn at(seed: u64, counter: u64) -> Self {
        Dropout { seed, counter: Cell::new(counter) }
    }

    /// The counter: how many masks have been drawn.
    pub fn counter(&self) -> u64 {
        self.counter.get()
    }

    /// To be called before each pass of training. On a GPU, where libtorch draws dropout and flash attention drops
    /// weights, its generator gets a seed for the pass, and the counter advances by one; on the CPU
    /// nothing happens.
    ///
    /// # Errors
    /// [`TorchError`] from libtorch.
    pub fn begin_pass(&self, device: Device) -> Result<(), TorchError> {
        if device == Device::Cpu {
            return Ok(());
        }
        let (seed, position) = self.draw(1);
        ffi::seed_generator(device, mix(seed, position))
    }

    /// Seed and position of the next `count` draws; advances the counter past them.
    pub(crate) fn draw(&self, count: u64) -> (u64, u64) {
        let position = self.counter.get();
        self.counter.set(position.wrapping_add(count));
        (self.seed, position)
    }

    /// `x` with elements dropped at `probability` and the others scaled up, so that the mean is preserved.
    ///
    /// Source: Srivastava et al. 2014, JMLR 15, in the inverted form.
    pub fn apply(&self, x: &Tensor, probability: f64) -> Tensor {
        if probability <= 0.0 {
            return x.shallow_clone();
        }
        if x.device() != Device::Cpu {
            return x.dropout(probability, true);
        }
        x * self.mask(&x.size(), probability).to_kind(x.kind())
    }

    /// float of the given shape: 0 where an element is dropped, else `1 / (1 − p)`.
    ///
    /// `p` is `probability` rounded to a 65,536th, and the scale uses the rounded value.
    fn mask(&self, shape: &[i64], probability: f64) -> Tensor {
        const STEPS: f64 = 65_536.0;
        let dropped = (probability * STEPS).round().min(STEPS - 1.0);
        let (threshold, scale) = (dropped as u16, (STEPS / (STEPS - dropped)) as f32);
        let count = shape.iter().product::<i64>();
        let (seed, start) = self.draw(count.unsigned_abs().div_ceil(4)); // four numbers of each 64 bits
        ffi::dropout_mask(count, seed, start, threshold, scale).view(shape)
    }
}

/// 64 random bits of a position, the same as in `native/splitmix.h`.
///
/// Source: Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", `SplitMix64`.
fn mix(seed: u64, position: u64) -> u64 {
    const GOLDEN_GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut z = seed.wrapping_add(position.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    fn share_of_zeros(mask: &Tensor) -> f64 {
        mask.eq(0.0).to_kind(Kind::Double).mean(Kind::Double).double_value(&[])
    }

    #[test]
    fn elements_are_dropped_at_the_given_rate_and_the_mean_is_preserved() {
        let dropout = Dropout::new(3);
        for probability in [0.0, 0.1, 0.5, 0.9] {
            let x = Tensor::ones([1000, 301], (Kind::Float, Device::Cpu));
            let y = dropout.apply(&x, probability);
            assert!((share_of_zeros(&y) - probability).abs() < 0.005, "{probability}");
            assert!((y.mean(Kind::Double).double_value(&[]) - 1.0).abs() < 0.02, "{probability}");
        }
    }

    /// A GPU's masks come from libtorch's generator with a seed of the pass; on the CPU the same call to libtorch.
    #[test]
    fn a_seed_gives_libtorchs_masks_and_a_pass_on_the_cpu_takes_none() {
        let mask = |seed| {
            ffi::seed_generator(Device::Cpu, seed).unwrap();
            Tensor::ones([64], (Kind::Float, Device::Cpu)).dropout(0.5, true)
        };
        let first = mask(mix(7, 0));
        assert_ne!(first, mask(mix(7, 1)));
        assert_eq!(first, mask(mix(7, 0)));
        let dropout = Dropout::new(7);
        dropout.begin_pass(Device::Cpu).unwrap();
        assert_eq!(dropout.counter(), 0);
    }

    #[test]
    fn masks_differ_from_each_other_and_repeat_from_a_counter() {
        let x = Tensor::ones([64, 64], (Kind::Float, Device::Cpu));
        let dropout = Dropout::new(7);
        let first = dropout.apply(&x, 0.5);
        let counter = dropout.counter();
        let second = dropout.apply(&x, 0.5);
        assert_ne!(first, second);
        assert_eq!(second, Dropout::at(7, counter).apply(&x, 0.5));
        assert_ne!(first, Dropout::new(8).apply(&x, 0.5));
        // Neighbouring elements are independent: both dropped a quarter of the time.
        let zeros = first.eq(0.0).to_kind(Kind::Double).flatten(0, 1);
        let both = (zeros.narrow(0, 0, 4095) * zeros.narrow(0, 1, 4095)).mean(Kind::Double).double_value(&[]);
        assert!((both - 0.25).abs() < 0.03, "{both}");
    }
    /// A mask drawn sequentially, as runs of earlier versions, which can be resumed, drew it.
    fn in_order(seed: u64, start: u64, count: usize, threshold: u16, scale: f32) -> Vec<f32> {
        let bits =
            |place: usize| (mix(seed, start.wrapping_add(place as u64 / 4)) >> (16 * (place % 4))) as u16;
        (0..count).map(|place| if bits(place) >= threshold { scale } else { 0.0 }).collect()
    }

    #[test]
    fn a_mask_does_not_depend_on_the_number_of_threads() {
        // Around the words that one thread takes, none at all, a counter that wraps; the last word decides one number.
        for (count, start) in [(100_001, 9), (131_072, 0), (5, 3), (0, 3), (40_000, u64::MAX - 7)] {
            let dropout = Dropout::at(11, start);
            let x = Tensor::ones([count as i64], (Kind::Float, Device::Cpu));
            let mask = Vec::<f32>::try_from(dropout.apply(&x, 0.25)).unwrap();
            assert!(mask == in_order(11, start, count, 16_384, 4.0 / 3.0), "{count} from {start}");
            assert_eq!(dropout.counter(), start.wrapping_add(count.div_ceil(4) as u64));
        }
    }
}
