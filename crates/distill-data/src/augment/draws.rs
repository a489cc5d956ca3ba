//! Random numbers of one copy.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// They depend on the seed, the row's id and the number of the copy alone.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    pub fn new(seed: u64, id: &str, number: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes()).update(&number.to_le_bytes()).update(id.as_bytes());
        Draws(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        /// 2⁻⁵³: a number of 53 bits as a share.
        const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
        let drawn = (self.0.next_u64() >> 11) as f64 * UNIT;
        drawn < probability
    }

    /// Below `bound`, which fits 32 bits: each place as likely but for 2⁻³² of it.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u64::from(self.0.next_u32()) * bound as u64) >> 32) as usize
    }
}
