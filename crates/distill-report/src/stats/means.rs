//! Bootstrap resamples of means over rows, for many columns at once.

use rayon::prelude::*;

use super::multinomial::below;
use super::{STREAM, stream};

/// Rows up to which they are resampled one by one.
const ROWS: usize = 2000;
/// Random groups that more rows than that are gathered into, and which are resampled in their place:
/// the intervals are as wide to within some 2 %, at a cost that no longer grows.
const GROUPS: usize = 1000;

/// Draws `resamples` values of every column's mean.
///
/// # Shapes
/// - `columns`: `[D][N]`, each with mean 0
/// - returns `[D][resamples]`
pub fn draw_means(columns: &[Vec<f64>], seed: u64, resamples: usize) -> Vec<Vec<f64>> {
    let rows = columns.first().map_or(0, Vec::len);
    if rows == 0 {
        return vec![Vec::new(); columns.len()];
    }
    let (groups, width) = (if rows <= ROWS { rows } else { GROUPS }, columns.len());
    let sums = grouped(columns, groups, seed); // [groups, D]
    let parts: Vec<Vec<f64>> = (0..resamples.div_ceil(STREAM))
        .into_par_iter()
        .map(|part| {
            let mut rng = stream(seed, 1, part);
            let count = STREAM.min(resamples - part * STREAM);
            let mut drawn = vec![0.0; count * width]; // [count, D]
            for total in drawn.chunks_exact_mut(width) {
                for _ in 0..groups {
                    let group = below(&mut rng, groups) * width;
                    total
                        .iter_mut()
                        .zip(&sums[group..group + width])
                        .for_each(|(total, value)| *total += value);
                }
            }
            drawn
        })
        .collect();
    let every = || parts.iter().flat_map(|part| part.chunks_exact(width));
    (0..width).map(|column| every().map(|row| row[column] / rows as f64).collect()).collect()
}

/// Sums of the columns over random groups of rows of as equal size as can be: `[groups, D]`.
fn grouped(columns: &[Vec<f64>], groups: usize, seed: u64) -> Vec<f64> {
    let (rows, width) = (columns[0].len(), columns.len());
    let mut order: Vec<usize> = (0..rows).collect();
    if rows > groups {
        let mut rng = stream(seed, 2, 0);
        (1..rows).rev().for_each(|last| order.swap(last, below(&mut rng, last + 1)));
    }
    let mut sums = vec![0.0; groups * width];
    for (at, row) in order.into_iter().enumerate() {
        let group = at % groups * width;
        sums[group..group + width].iter_mut().zip(columns).for_each(|(sum, column)| *sum += column[row]);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_mean_with_and_without_groups() {
        for rows in [500, 5001] {
            let column: Vec<f64> = (0..rows).map(|row| f64::from(row % 10) - 4.5).collect();
            let mean: f64 = column.iter().sum::<f64>() / f64::from(rows);
            let column: Vec<f64> = column.iter().map(|value| value - mean).collect();
            let variance: f64 = column.iter().map(|value| value * value).sum::<f64>() / f64::from(rows);
            let drawn = &draw_means(&[column], 3, 4000)[0];
            let spread = (drawn.iter().map(|value| value * value).sum::<f64>() / 4000.0).sqrt();
            let wanted = (variance / f64::from(rows)).sqrt();
            assert!((spread / wanted - 1.0).abs() < 0.08, "{rows} rows: {spread}, not {wanted}");
        }
    }
}
