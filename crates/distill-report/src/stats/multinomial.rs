//! Bootstrap resamples of counts: `N` rows drawn with replacement, as a count a cell.
//!
//! Drawing rows one by one costs `N` steps. The counts of a resample are multinomial, so they are
//! drawn cell by cell instead, each binomial given the ones before it; what falls to the rare cells
//! together is then shared out row by row. Both are the exact distribution.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use rand_distr::{Binomial, Distribution};

/// Cells with fewer rows than this are drawn row by row: a binomial costs about as much.
const RARE: u64 = 24;

/// Draws counts of resamples.
#[derive(Clone, Debug)]
pub struct CountSampler {
    /// Cell and its rows, for the frequent cells.
    frequent: Vec<(usize, u64)>,
    /// The cell of each row that lies in a rare cell.
    rare: Vec<u32>,
    total: u64,
    cells: usize,
}

impl CountSampler {
    /// A sampler of resamples of as many rows as `counts` sum to.
    pub fn new(counts: &[u64]) -> Self {
        let mut sampler = CountSampler {
            frequent: Vec::new(),
            rare: Vec::new(),
            total: counts.iter().sum(),
            cells: counts.len(),
        };
        for (cell, count) in counts.iter().enumerate() {
            if *count >= RARE {
                sampler.frequent.push((cell, *count));
            } else {
                sampler.rare.extend((0..*count).map(|_| cell as u32));
            }
        }
        sampler
    }

    /// One resample into `counts`, `[cells]`.
    pub fn draw(&self, rng: &mut ChaCha8Rng, counts: &mut Vec<u64>) {
        counts.clear();
        counts.resize(self.cells, 0);
        let (mut rows_left, mut draws_left) = (self.total, self.total);
        for (cell, count) in &self.frequent {
            let drawn = binomial(rng, draws_left, *count as f64 / rows_left as f64);
            counts[*cell] = drawn;
            rows_left -= count;
            draws_left -= drawn;
        }
        for _ in 0..draws_left {
            counts[self.rare[below(rng, self.rare.len())] as usize] += 1;
        }
    }
}

fn binomial(rng: &mut ChaCha8Rng, draws: u64, share: f64) -> u64 {
    // The last cell takes all that is left; its share may round to just above 1.
    if share >= 1.0 {
        return draws;
    }
    Binomial::new(draws, share).map_or(0, |binomial| binomial.sample(rng))
}

/// A number below `limit`, even to within `limit / 2⁶⁴`.
pub(crate) fn below(rng: &mut ChaCha8Rng, limit: usize) -> usize {
    ((u128::from(rng.next_u64()) * limit as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::stream;

    #[test]
    fn counts_have_the_mean_and_the_spread_of_rows_drawn_one_by_one() {
        let counts = [500, 300, 100, 60, 20, 10, 9, 1];
        let sampler = CountSampler::new(&counts);
        let mut rng = stream(7, 0, 0);
        const DRAWS: usize = 20_000;
        let (mut drawn, mut sums, mut squares) = (Vec::new(), [0.0; 8], [0.0; 8]);
        for _ in 0..DRAWS {
            sampler.draw(&mut rng, &mut drawn);
            assert_eq!(drawn.iter().sum::<u64>(), 1000);
            for (cell, count) in drawn.iter().enumerate() {
                sums[cell] += *count as f64;
                squares[cell] += (*count * *count) as f64;
            }
        }
        for (cell, count) in counts.iter().enumerate() {
            let (expected, share) = (*count as f64, *count as f64 / 1000.0);
            let mean = sums[cell] / DRAWS as f64;
            let variance = squares[cell] / DRAWS as f64 - mean * mean;
            let wanted = 1000.0 * share * (1.0 - share);
            assert!((mean - expected).abs() < 5.0 * (wanted / DRAWS as f64).sqrt(), "cell {cell}: mean {mean}");
            assert!((variance / wanted - 1.0).abs() < 0.06, "cell {cell}: variance {variance}, not {wanted}");
        }
    }
}
