//! How long intervals take. Run it on a quiet machine with
//! `cargo test --release -p distill-report --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::time::{Duration, Instant};

use distill_core::{LabelMap, StopSignal};
use distill_report::metrics::{self, Metric, Scored};
use distill_report::stats::{draws, percentile_interval};
use distill_report::{Predictions, Role};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

const ROWS: usize = 100_000;
const LABELS: usize = 20;

fn model(name: &str, role: Role, strength: f32, seed: u64) -> Predictions {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut logits: Vec<f32> = (0..ROWS * LABELS).map(|_| StandardNormal.sample(&mut rng)).collect();
    (0..ROWS).for_each(|row| logits[row * LABELS + row % LABELS] += strength);
    let ids = (0..ROWS).map(|row| row.to_string()).collect();
    let labels = (0..ROWS).map(|row| Some((row % LABELS) as i32)).collect();
    Predictions::new(name, role, ids, LabelMap::numbered(LABELS).unwrap(), labels, logits).unwrap()
}

#[test]
#[ignore = "a timing, for release builds on a quiet machine"]
fn intervals_of_100_000_rows_and_20_labels_take_under_2_seconds() {
    let models = [model("student", Role::Student, 4.0, 1)];
    let scored: Vec<Scored> = models.iter().map(Scored::new).collect();
    let values = vec![metrics::all(&scored[0]).into_iter().collect()];
    let start = Instant::now();
    let draws = draws::draw(&models, &scored, &values, 0, 10_000, &StopSignal::default());
    let intervals: Vec<_> =
        draws.metrics[0].values().map(|drawn| percentile_interval(drawn.iter().copied(), 0.95)).collect();
    let elapsed = start.elapsed();
    eprintln!("{} intervals in {elapsed:.2?}", intervals.len());
    assert!(draws.metrics[0].contains_key(&Metric::RocAuc) && intervals.iter().all(Option::is_some));
    assert!(elapsed < Duration::from_secs(2), "{} intervals took {elapsed:?}", intervals.len());
}
