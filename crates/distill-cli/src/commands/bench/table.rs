//! The figures as a table and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::workload::Workload;
use super::{Measured, Round};
use crate::session::Session;

/// Phases in the order in which they happen; `step` and `validate` hold others.
const PHASES: [&str; 8] =
    ["read", "tokenize", "pack", "forward", "backward", "optimizer", "checkpoint", "write"];

/// All figures of one bench.
pub struct Summary<'a> {
    device: BTreeMap<String, String>,
    rows: usize,
    tokens: u64,
    ceiling: f64,
    measured: &'a [Measured],
}

impl<'a> Summary<'a> {
    /// Collects what is shown. `ceiling` is in floating-point operations a second.
    pub fn new(session: &Session, workload: &Workload, ceiling: f64, measured: &'a [Measured]) -> Self {
        Summary {
            device: session.device_record(),
            rows: workload.rows.len(),
            tokens: workload.tokens(),
            ceiling,
            measured,
        }
    }

    /// For people.
    #[allow(clippy::cast_precision_loss)]
    pub fn text(&self) -> String {
        let field = |name: &str| self.device.get(name).map_or("", String::as_str);
        let mut out = format!(
            "{} rows of {:.1} tokens on {}, {}, {} threads; one matrix product: {:.1} GFLOP/s\n\n\
             {:<8} {:>9} {:>19} {:>10} {:>9} {:>11}\n",
            self.rows,
            self.tokens as f64 / self.rows.max(1) as f64,
            field("device"),
            field("dtype"),
            field("threads"),
            self.ceiling / 1e9,
            "pass",
            "rows/s",
            "lowest to highest",
            "tokens/s",
            "GFLOP/s",
            "of product",
        );
        for measured in self.measured {
            let rates: Vec<f64> = measured.rounds.iter().map(rows_per_second).collect();
            let (low, high) =
                rates.iter().fold((f64::INFINITY, 0f64), |(low, high), rate| (low.min(*rate), high.max(*rate)));
            let round = median(&measured.rounds);
            out.push_str(&format!(
                "{:<8} {:>9.1} {:>19} {:>10.0} {:>9.1} {:>10.1}%\n",
                measured.pass,
                rows_per_second(round),
                format!("{low:.1} to {high:.1}"),
                round.tokens as f64 / round.seconds,
                round.flops / round.seconds / 1e9,
                100.0 * round.flops / round.seconds / self.ceiling,
            ));
        }
        for measured in self.measured.iter().filter(|_| !self.on_gpu()) {
            out.push_str(&format!("\n{}: {}", measured.pass, shares(median(&measured.rounds))));
        }
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
    #[allow(clippy::cast_precision_loss)]
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
                    "share_of_ceiling": round.flops / round.seconds / self.ceiling,
                    "phases": round.phases.iter().filter(|_| !self.on_gpu()).cloned().collect::<BTreeMap<_, _>>(),
                    "rounds": measured.rounds.iter().map(|round| json!({
                        "rows": round.rows, "tokens": round.tokens, "flops": round.flops, "seconds": round.seconds,
                    })).collect::<Vec<_>>(),
                })
            })
            .collect();
        Ok(serde_json::to_string_pretty(&json!({
            "device": self.device,
            "rows": self.rows,
            "tokens": self.tokens,
            "ceiling_flops_per_second": self.ceiling,
            "passes": passes,
        }))?)
    }
}

#[allow(clippy::cast_precision_loss)]
fn rows_per_second(round: &Round) -> f64 {
    round.rows as f64 / round.seconds
}

/// The round in the middle, by time.
fn median(rounds: &[Round]) -> &Round {
    let mut order: Vec<&Round> = rounds.iter().collect();
    order.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
    order[order.len() / 2]
}

/// `forward 91%, tokenize 5%, …`; writing is on a thread of its own and may overlap.
fn shares(round: &Round) -> String {
    let mut rest = 100.0;
    let mut parts = Vec::new();
    for name in PHASES {
        if let Some((_, seconds)) = round.phases.iter().find(|(phase, _)| *phase == name) {
            let share = 100.0 * seconds / round.seconds;
            parts.push(format!(
                "{name} {share:.1}%{}",
                if name == "write" { " (on its own thread)" } else { "" }
            ));
            rest -= if name == "write" { 0.0 } else { share };
        }
    }
    parts.push(format!("other {:.1}%", rest.max(0.0)));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_round_in_the_middle_is_shown_with_its_shares() {
        let round = |seconds| Round {
            rows: 10,
            tokens: 100,
            flops: 1e9,
            seconds,
            phases: vec![("forward", seconds * 0.9), ("write", seconds * 0.5)],
        };
        let rounds = [round(3.0), round(1.0), round(2.0)];
        assert!((median(&rounds).seconds - 2.0).abs() < 1e-12);
        assert_eq!(shares(&rounds[0]), "forward 90.0%, write 50.0% (on its own thread), other 10.0%");
    }
}
