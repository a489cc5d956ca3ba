//! How sure a figure is: [`multinomial`] and [`means`] draw resamples, [`draws`] turns them into
//! values of every metric of every model on one data set, [`interval`] into intervals and [`sample`] keeps them together;
//! [`mcnemar`] tests whether two models err on different rows;
//! [`wilson`] is for shares of few rows, [`student_t`] for means of few seeds.

pub mod draws;
pub mod interval;
pub mod mcnemar;
pub mod means;
pub mod multinomial;
pub mod sample;
pub mod student_t;
pub mod wilson;

pub use draws::Draws;
pub use interval::percentile_interval;
pub use mcnemar::McNemar;
pub use sample::Sample;
pub use wilson::wilson_interval;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Resamples that share a random stream. Streams are numbered, so that the result does not depend
/// on how many threads share the work.
pub(crate) const STREAM: usize = 50;

/// The random stream of one part of one kind of work.
pub(crate) fn stream(seed: u64, kind: u64, part: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream((kind << 48) | part as u64);
    rng
}
