//! How fast models are: several rounds in which each has its turn, so that a machine that gets busier
//! or slower during the report does so for all of them.

use std::time::Duration;

use distill_data::source::Row;
use distill_report::build::rounds::median;
use distill_report::report::Timing;
use distill_report::{Latency, Round};
use distill_teacher::Runner;
use distill_torch::device::device_name;

use super::rows::TestSet;
use crate::error::Result;
use crate::session::{Session, dtype_name};

/// Rounds in which every model has its turn.
const ROUNDS: usize = 5;
/// Rows of a round that are timed one by one.
const SINGLE_ROWS: usize = 40;
/// Seconds that the slowest model should take for the rows of a round in batches.
const ROUND_SECONDS: f64 = 0.5;
/// Fewest and most rows of a round in batches.
const ROWS: std::ops::RangeInclusive<f64> = 32.0..=4096.0;

/// One model's speed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timed {
    /// Rows a second in batches, of the median round.
    pub rows_per_second: Option<f64>,
    /// From one text to its logits.
    pub latency: Option<Latency>,
    /// Each round by itself: their spread says how reliable the figures are.
    pub rounds: Vec<Round>,
}

/// Times every model over rows of one data set; `slowest` is about how many rows a second the slowest takes.
///
/// # Errors
/// Those of the rows and the models; a stop.
pub fn time(
    runners: &[Runner<'_>],
    set: &TestSet,
    slowest: f64,
    session: &Session,
) -> Result<(Vec<Timed>, Timing)> {
    let count = (slowest * ROUND_SECONDS).clamp(*ROWS.start(), *ROWS.end()) as usize;
    let rows = spread(set, count)?;
    let singles: Vec<Vec<Row>> = rows.iter().cycle().take(SINGLE_ROWS).map(|row| vec![row.clone()]).collect();
    let mut rounds: Vec<Vec<Duration>> = vec![Vec::with_capacity(ROUNDS); runners.len()];
    let mut latencies: Vec<Vec<Duration>> = vec![Vec::with_capacity(ROUNDS * SINGLE_ROWS); runners.len()];
    session.progress.begin("timing", ROUNDS as u64, "rounds");
    for round in 0..ROUNDS {
        for (at, runner) in runners.iter().enumerate() {
            rounds[at].push(runner.time(&rows)?);
            // The first single row finds the processor's caches full of batches.
            runner.time(&singles[0])?;
            for single in &singles {
                latencies[at].push(runner.time(single)?);
            }
        }
        session.progress.update(round as u64 + 1, "");
    }
    session.progress.end();
    let timed =
        rounds.into_iter().zip(latencies).map(|(rounds, latencies)| timed(rows.len(), &rounds, latencies));
    let timing = Timing {
        device: device_name(session.device),
        dtype: dtype_name(session.kind).to_owned(),
        threads: session.threads,
        data: set.name.clone(),
        rounds: ROUNDS,
        rows: rows.len(),
        single_rows: ROUNDS * SINGLE_ROWS,
    };
    Ok((timed.collect(), timing))
}

/// One model's figures: `rounds` are the times of all rows in batches, `latencies` those of single rows, as many a round.
fn timed(rows: usize, rounds: &[Duration], latencies: Vec<Duration>) -> Timed {
    let rates: Vec<f64> = rounds.iter().map(|time| rows as f64 / time.as_secs_f64().max(1e-9)).collect();
    let of_round = latencies.chunks(latencies.len().div_ceil(rounds.len().max(1)).max(1));
    let rounds = rates
        .iter()
        .zip(of_round)
        .map(|(rate, times)| Round { rows_per_second: *rate, latency: latency(times.to_vec()) });
    Timed { rounds: rounds.collect(), rows_per_second: median(rates), latency: Some(latency(latencies)) }
}

/// At most this many rows, from all parts of the data set.
fn spread(set: &TestSet, count: usize) -> Result<Vec<Row>> {
    let total = usize::try_from(set.summary.rows).unwrap_or(usize::MAX);
    let step = (total / count).max(1);
    Ok(set.source.clone().without_labels().rows()?.step_by(step).take(count).collect::<Result<_, _>>()?)
}

fn latency(times: Vec<Duration>) -> Latency {
    let milliseconds = |part: f64| 1e3 * share(times.clone(), part).max(1e-9);
    Latency { p50_ms: milliseconds(0.5), p95_ms: milliseconds(0.95), p99_ms: milliseconds(0.99) }
}

/// The time, in seconds, that this part of the times do not exceed (nearest rank).
fn share(mut times: Vec<Duration>, part: f64) -> f64 {
    times.sort_unstable();
    let rank = (part * times.len() as f64).ceil() as usize;
    times.get(rank.clamp(1, times.len().max(1)) - 1).map_or(0.0, Duration::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let latency = latency(times);
        assert!((latency.p50_ms - 100.0).abs() < 1e-9, "{latency:?}");
        assert!((latency.p95_ms - 190.0).abs() < 1e-9 && (latency.p99_ms - 198.0).abs() < 1e-9, "{latency:?}");
        assert!((share(vec![Duration::from_secs(7)], 0.5) - 7.0).abs() < 1e-12);
    }

    #[test]
    fn the_median_round_is_reported_and_every_round_is_kept() {
        let seconds = |all: &[u64]| all.iter().copied().map(Duration::from_secs).collect::<Vec<_>>();
        let found = timed(120, &seconds(&[1, 6, 2]), seconds(&[1, 2, 3, 4, 5, 9]));
        assert_eq!(found.rows_per_second, Some(60.0));
        let rates: Vec<f64> = found.rounds.iter().map(|round| round.rows_per_second).collect();
        assert_eq!(rates, [120.0, 20.0, 60.0]);
        let slowest: Vec<f64> = found.rounds.iter().map(|round| round.latency.p99_ms).collect();
        assert_eq!(slowest, [2000.0, 4000.0, 9000.0]);
    }
}
