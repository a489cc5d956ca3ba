//! Thresholds that no value can meet, or that every value meets: a gate that decides nothing is a mistake.

use super::parse::Gate;
use super::quantity::Quantity;
use crate::metrics::Metric;

/// Shares of another figure may exceed 1, but nobody asks for more than twice of it: that is a percentage without
/// its sign.
const LARGEST_SHARE: f64 = 2.0;

impl Quantity {
    /// The least and the largest value that a gate on it can mean.
    pub fn range(&self) -> [f64; 2] {
        match self {
            Quantity::Metric(metric) => metric.range(),
            Quantity::Kept(metric) => {
                let least = if metric.range()[0] < 0.0 { -LARGEST_SHARE } else { 0.0 };
                [least, LARGEST_SHARE]
            }
            Quantity::GapClosed(_) => [-LARGEST_SHARE, LARGEST_SHARE],
            Quantity::Drop(metric) | Quantity::Gain(metric) | Quantity::Regression(Some(metric)) => {
                differences(*metric)
            }
            // Of which metrics depends on what a row's label is.
            Quantity::Regression(None) => [f64::NEG_INFINITY, f64::INFINITY],
            Quantity::Class(..) => [0.0, 1.0],
            Quantity::Cost(_) => [0.0, f64::INFINITY],
        }
    }
}

/// What two values of a metric can differ by.
fn differences(metric: Metric) -> [f64; 2] {
    let [least, largest] = metric.range();
    let width = largest - least;
    [-width, width]
}

/// Why the number of a gate decides nothing, or none.
pub(super) fn problem(gate: &Gate) -> Option<String> {
    let [least, largest] = gate.quantity.range();
    let (threshold, quantity) = (gate.threshold, &gate.quantity);
    if (least..=largest).contains(&threshold) {
        return None;
    }
    let percent = threshold.abs() <= 100.0 * largest && largest.is_finite() && threshold.abs() > largest;
    let hint = if percent { format!("; {threshold} percent is written {threshold}%") } else { String::new() };
    let range = match (least.is_finite(), largest.is_finite()) {
        (true, true) => format!("lies between {least} and {largest}"),
        (true, false) => format!("is never below {least}"),
        _ => format!("is never above {largest}"),
    };
    let range = match quantity {
        Quantity::Kept(_) | Quantity::GapClosed(_) => {
            format!("is a share, and a gate on it takes {least} to {largest}")
        }
        _ => range,
    };
    Some(format!("{threshold} decides nothing: {quantity} {range}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_without_its_sign_is_refused_with_how_to_write_it() {
        for (gate, parts) in [
            ("kept.accuracy >= 97", ["97 decides nothing", "97 percent is written 97%"]),
            ("accuracy >= 90", ["lies between 0 and 1", "written 90%"]),
            ("drop.macro_f1 <= 1.5", ["lies between -1 and 1", "1.5%"]),
            ("gap_closed.accuracy >= 80", ["is a share", "80%"]),
            ("f1[spam] >= 95", ["lies between 0 and 1", "95%"]),
            ("regression.accuracy <= 2 vs a.json", ["lies between -1 and 1", "2%"]),
            ("accuracy >= -0.1", ["-0.1 decides nothing", "lies between 0 and 1"]),
            ("r2 >= 1.5", ["is never above 1", "1.5%"]),
            ("rmse <= -1", ["-1 decides nothing", "is never below 0"]),
            ("latency.p95 <= -1ms", ["-1 decides nothing", "is never below 0"]),
            ("kept.accuracy >= 9700", ["9700 decides nothing", "is a share"]),
        ] {
            let error = Gate::parse(gate).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{gate}: {error}");
        }
    }

    #[test]
    fn thresholds_within_the_range_are_taken() {
        for gate in [
            "kept.accuracy >= 97%",
            "kept.accuracy >= 1.02",
            "accuracy >= 0",
            "accuracy >= 1",
            "mcc >= -0.1",
            "r2 >= -3",
            "kl <= 100",
            "drop.rmse <= 5",
            "drop.accuracy <= -0.01",
            "gap_closed.macro_f1 >= -50%",
            "speed_up >= 20x",
            "parameters <= 40k",
        ] {
            Gate::parse(gate).unwrap();
        }
    }
}
