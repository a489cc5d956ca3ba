//! The figures as a table and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::workload::Workload;
use super::{Measured, Round};
use crate::session::Session;

/// Phases in the order in which they happen.
const PHASES: [&str; 12] = [
    "read",
    "tokenize",
    "cache",
    "load",
    "pack",
    "forward",
    "backward",
    "optimizer",
    "validate",
    "checkpoint",
    "save",
    "write",
];

/// All figures of one bench.
pub struct Summary<'a> {
    device: BTreeMap<String, String>,
    rows: usize,
    tokens: u64,
    products: Vec<f64>,
    measured: &'a [Measured],
}

impl<'a> Summary<'a> {
    /// Collects what is shown. `products` are one matrix product in each round, in floating-point operations a second.
    pub fn new(session: &Session, workload: &Workload, products: Vec<f64>, measured: &'a [Measured]) -> Self {
        Summary {
            device: session.device_record(),
            rows: workload.rows.len(),
            tokens: workload.tokens(),
            products,
            measured,
        }
    }

    /// The product that passes are compared with. The median as theirs: a machine's fastest second says nothing of
    /// the minute in which a pass ran.
    fn ceiling(&self) -> f64 {
        in_the_middle(&self.products, |product| -product).copied().unwrap_or(f64::NAN)
    }

    /// For people.
    pub fn text(&self) -> String {
        let field = |name: &str| self.device.get(name).map_or("", String::as_str);
        let mut out = format!(
            "{} rows of {:.1} tokens on {}, {}, {} threads; one matrix product: {:.1} GFLOP/s, median ({})\n\n\
             {:<8} {:>9} {:>19} {:>10} {:>9} {:>11}\n",
            self.rows,
            self.tokens as f64 / self.rows.max(1) as f64,
            field("device"),
            field("dtype"),
            field("threads"),
            self.ceiling() / 1e9,
            range(self.products.iter().map(|product| product / 1e9)),
            "pass",
            "rows/s",
            "lowest to highest",
            "tokens/s",
            "GFLOP/s",
            "of product",
        );
        for measured in self.measured {
            let round = median(&measured.rounds);
            out.push_str(&format!(
                "{:<8} {:>9.1} {:>19} {:>10.0} {:>9.1} {:>10.1}%\n",
                measured.pass,
                rows_per_second(round),
                range(measured.rounds.iter().map(rows_per_second)),
                round.tokens as f64 / round.seconds,
                round.flops / round.seconds / 1e9,
                100.0 * round.flops / round.seconds / self.ceiling(),
            ));
        }
        for measured in self.measured.iter().filter(|_| !self.on_gpu()) {
            out.push_str(&format!("\n{}: {}", measured.pass, shares_in_words(median(&measured.rounds))));
        }
        out.push_str(
            "\n\nAll figures are from the median round. Shares refer to the whole pass; the student's rows/s cover \
             only its steps.",
        );
        out
    }

    /// Whether phases are not shown: on a GPU one ends when its work is queued, not when it is done.
    fn on_gpu(&self) -> bool {
        self.device.get("device").is_some_and(|device| device.starts_with("cuda"))
    }

    /// For programs.
    ///
    /// # Errors
    /// Where it cannot be written as JSON, which would be a defect.
    pub fn json(&self) -> anyhow::Result<String> {
        let passes: Vec<Value> = self
            .measured
            .iter()
            .map(|measured| {
                let round = median(&measured.rounds);
                json!({
                    "pass": measured.pass,
                    "dtype": measured.dtype,
                    "rows_per_second": rows_per_second(round),
                    "tokens_per_second": round.tokens as f64 / round.seconds,
                    "flops_per_second": round.flops / round.seconds,
                    "share_of_ceiling": round.flops / round.seconds / self.ceiling(),
                    "phases": round.phases.iter().filter(|_| !self.on_gpu()).map(|(name, phase)| (*name, phase.own.as_secs_f64()))
                        .collect::<BTreeMap<_, _>>(),
                    "shares": shares(round).into_iter().filter(|_| !self.on_gpu()).map(|(name, share, _)| (name, share))
                        .collect::<BTreeMap<_, _>>(),
                    "on_other_threads": shares(round).into_iter().filter(|(.., elsewhere)| *elsewhere && !self.on_gpu())
                        .map(|(name, ..)| name).collect::<Vec<_>>(),
                    "rounds": measured.rounds.iter().map(|round| json!({
                        "rows": round.rows, "tokens": round.tokens, "flops": round.flops, "seconds": round.seconds,
                        "pass_seconds": round.pass_seconds,
                    })).collect::<Vec<_>>(),
                })
            })
            .collect();
        Ok(serde_json::to_string_pretty(&json!({
            "device": self.device,
            "rows": self.rows,
            "tokens": self.tokens,
            "ceiling_flops_per_second": self.ceiling(),
            "ceiling_rounds": self.products,
            "passes": passes,
        }))?)
    }
}

fn rows_per_second(round: &Round) -> f64 {
    round.rows as f64 / round.seconds
}

/// `61.2 to 80.9`
fn range(figures: impl Iterator<Item = f64>) -> String {
    let (low, high) = figures.fold((f64::INFINITY, 0f64), |(low, high), next| (low.min(next), high.max(next)));
    format!("{low:.1} to {high:.1}")
}

/// The one in the middle, the later of two.
fn in_the_middle<T>(all: &[T], by: impl Fn(&T) -> f64) -> Option<&T> {
    let mut order: Vec<&T> = all.iter().collect();
    order.sort_by(|left, right| by(left).total_cmp(&by(right)));
    order.get(order.len() / 2).copied()
}

/// The round in the middle, by time; of two the slower.
fn median(rounds: &[Round]) -> &Round {
    in_the_middle(rounds, |round| round.seconds).unwrap_or(&rounds[0])
}

/// The part of a round's time in each phase, and whether other threads had some of it: those overlap with what is
/// left, `other`.
fn shares(round: &Round) -> Vec<(&'static str, f64, bool)> {
    let phases = PHASES.iter().filter_map(|name| round.phases.get_key_value(name));
    let mut shares: Vec<_> = phases
        .map(|(name, phase)| (*name, phase.own.as_secs_f64() / round.pass_seconds, phase.elsewhere))
        .collect();
    let here: f64 = shares.iter().filter(|(.., elsewhere)| !elsewhere).map(|(_, share, _)| share).sum();
    shares.push(("other", (1.0 - here).max(0.0), false));
    shares
}

/// `forward 91.0%, tokenize 5.0%, …`
fn shares_in_words(round: &Round) -> String {
    let words = shares(round).into_iter().map(|(name, share, elsewhere)| {
        let thread = if elsewhere { " (on its own thread)" } else { "" };
        format!("{name} {:.1}%{thread}", 100.0 * share)
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::output::timeline::Phase;

    fn phase(seconds: f64, elsewhere: bool) -> Phase {
        let own = Duration::from_secs_f64(seconds);
        Phase { own, whole: own, elsewhere }
    }

    #[test]
    fn the_round_in_the_middle_is_shown_with_its_shares() {
        let round = |seconds: f64| Round {
            rows: 10,
            tokens: 100,
            flops: 1e9,
            seconds,
            pass_seconds: 2.0 * seconds,
            phases: [("forward", phase(seconds, false)), ("write", phase(seconds * 1.5, true))].into(),
        };
        let rounds = [round(3.0), round(1.0), round(2.0)];
        assert!((median(&rounds).seconds - 2.0).abs() < 1e-12);
        let words = "forward 50.0%, write 75.0% (on its own thread), other 50.0%";
        assert_eq!(shares_in_words(&rounds[0]), words);
    }

    /// Of two in the middle, the slower one on both sides of the comparison.
    #[test]
    fn a_machines_fastest_product_is_not_what_the_median_round_is_compared_with() {
        let summary = |products: &[f64]| Summary {
            device: BTreeMap::new(),
            rows: 1,
            tokens: 1,
            products: products.to_vec(),
            measured: &[],
        };
        assert_eq!(summary(&[255.0, 160.0, 164.0]).ceiling().to_string(), "164");
        assert_eq!(summary(&[255.0, 160.0]).ceiling().to_string(), "160");
        assert_eq!(range([2.0, 1.0].into_iter()), "1.0 to 2.0");
    }
}
