//! The order in which training sees its rows.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A shuffle for each epoch that depends on the seed and the epoch alone.
///
/// A position is (epoch, index of the batch in the epoch): a resumed run asks for the epoch it was in and
/// skips to the index, without drawing again what came before. The shuffle is written out here (Fisher-Yates
/// over ChaCha8, whose output is a standard), so that another version of a library gives no other order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingOrder {
    /// Rows to train on, in any fixed order.
    pub rows: Vec<u32>,
    /// Rows of a batch; the last batch of an epoch may have fewer. 0 counts as 1.
    pub batch_rows: usize,
    /// The run's seed.
    pub seed: u64,
}

impl TrainingOrder {
    /// The batches of epoch `epoch` (from 0): every row exactly once.
    pub fn epoch(&self, epoch: u64) -> Vec<Vec<u32>> {
        let mut rows = self.rows.clone();
        shuffle(&mut rows, &mut generator(self.seed, epoch));
        rows.chunks(self.batch_rows.max(1)).map(<[u32]>::to_vec).collect()
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.rows.len().div_ceil(self.batch_rows.max(1))
    }
}

fn generator(seed: u64, epoch: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&epoch.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

fn shuffle(rows: &mut [u32], generator: &mut ChaCha8Rng) {
    for last in (1..rows.len()).rev() {
        rows.swap(last, below(last as u64 + 1, generator) as usize);
    }
}

/// A number below `bound`, each equally likely: draws from the incomplete last span are drawn again.
fn below(bound: u64, generator: &mut ChaCha8Rng) -> u64 {
    let spans = u64::MAX / bound;
    loop {
        let drawn = generator.next_u64();
        if drawn < spans * bound {
            return drawn % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> TrainingOrder {
        TrainingOrder { rows: (10..110).collect(), batch_rows: 16, seed }
    }

    #[test]
    fn an_epoch_holds_every_row_once_and_keeps_the_last_part_of_a_batch() {
        let batches = order(1).epoch(0);
        let mut rows = batches.concat();
        rows.sort_unstable();
        assert_eq!(rows, (10..110).collect::<Vec<_>>());
        assert_eq!(batches.len(), order(1).batches_per_epoch());
        assert_eq!(batches.last().map(Vec::len), Some(4));
        let none = TrainingOrder { rows: Vec::new(), batch_rows: 0, seed: 0 };
        assert!(none.epoch(0).is_empty());
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        assert_eq!(order(7).epoch(3), order(7).epoch(3));
        assert_ne!(order(7).epoch(3), order(7).epoch(4));
        assert_ne!(order(7).epoch(3), order(8).epoch(3));
        // Seed and epoch do not stand in for each other.
        assert_ne!(order(3).epoch(7), order(7).epoch(3));
    }

    /// A checkpoint of today must be resumable by a later build: these numbers never change.
    #[test]
    fn the_shuffle_is_pinned() {
        let order = TrainingOrder { rows: (0..10).collect(), batch_rows: 10, seed: 42 };
        assert_eq!(order.epoch(0), [[2, 1, 4, 3, 7, 0, 5, 8, 6, 9]]);
    }

    #[test]
    fn places_are_equally_likely() {
        let order = TrainingOrder { rows: (0..5).collect(), batch_rows: 5, seed: 9 };
        let mut counts = [[0_u32; 5]; 5];
        for epoch in 0..5000 {
            for (place, row) in order.epoch(epoch)[0].iter().enumerate() {
                counts[place][*row as usize] += 1;
            }
        }
        assert!(counts.iter().flatten().all(|count| (880..1120).contains(count)), "{counts:?}");
    }
}
