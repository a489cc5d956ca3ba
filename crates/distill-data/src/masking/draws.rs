//! Random numbers of one sequence in one epoch.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The last 8 bytes of the key: no other stream of a run has them.
const MASKING: [u8; 8] = *b"masking\0";

/// ChaCha8, whose output is a standard, under the key `seed ‖ epoch ‖ sequence ‖ "masking\0"`, numbers as 8 little-endian
/// bytes.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    pub fn new(seed: u64, epoch: u64, sequence: u64) -> Self {
        let mut key = [0; 32];
        let parts = [seed.to_le_bytes(), epoch.to_le_bytes(), sequence.to_le_bytes(), MASKING];
        key.chunks_exact_mut(8).zip(parts).for_each(|(place, part)| place.copy_from_slice(&part));
        Draws(ChaCha8Rng::from_seed(key))
    }

    /// Below `bound`, each equally likely: draws from the incomplete last span are drawn again.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = (bound as u64).max(1);
        let spans = u64::MAX / bound;
        loop {
            let drawn = self.0.next_u64();
            if drawn < spans * bound {
                return (drawn % bound) as usize;
            }
        }
    }

    /// From 0 to below 1, in steps of 2⁻⁵³.
    pub fn share(&mut self) -> f64 {
        /// 2⁻⁵³: a number of 53 bits as a share.
        const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
        (self.0.next_u64() >> 11) as f64 * UNIT
    }
}
