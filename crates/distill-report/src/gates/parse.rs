//! From the text of a gate to its parts.

use super::quantity::Quantity;
use super::{GateError, number, threshold};

/// How the value is compared with the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    Above,
    /// `<`
    Below,
}

impl Comparison {
    /// Whether `value` stands in this relation to `threshold`.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Comparison::AtLeast => value >= threshold,
            Comparison::AtMost => value <= threshold,
            Comparison::Above => value > threshold,
            Comparison::Below => value < threshold,
        }
    }

    /// In words: `at least`, `at most`, `more than`, `less than`.
    pub fn words(self) -> &'static str {
        match self {
            Comparison::AtLeast => "at least",
            Comparison::AtMost => "at most",
            Comparison::Above => "more than",
            Comparison::Below => "less than",
        }
    }
}

/// One condition, read but not yet applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// The gate as it was given, without outer spaces.
    pub text: String,
    /// The model it is about; none: every student.
    pub model: Option<String>,
    /// What is measured.
    pub quantity: Quantity,
    /// How it is compared.
    pub comparison: Comparison,
    /// The number it is compared with.
    pub threshold: f64,
    /// What stands after `vs`: a model, or for `regression` a file. None: the teacher.
    pub against: Option<String>,
    /// The data set after `on`; none: every one.
    pub data: Option<String>,
    /// `with confidence`: the interval decides, not the value.
    pub is_confident: bool,
}

impl Gate {
    /// Reads a gate.
    ///
    /// # Errors
    /// [`GateError::Syntax`]; [`GateError::UnknownMetric`] with the nearest names; [`GateError::Threshold`].
    pub fn parse(text: &str) -> Result<Gate, GateError> {
        let text = text.trim();
        let syntax = |problem: String| GateError::Syntax { gate: text.to_owned(), problem };
        let Sides { left, comparison, right } = Sides::of(text).map_err(syntax)?;
        // A colon inside a label's brackets does not end a model's name.
        let names = left.find('[').map_or(left, |bracket| &left[..bracket]);
        let (model, name) = match names.rfind(':') {
            Some(colon) => (Some(left[..colon].trim().to_owned()), left[colon + 1..].trim()),
            None => (None, left.trim()),
        };
        if name.is_empty() || model.as_deref() == Some("") {
            return Err(syntax("a name is missing before the comparison".to_owned()));
        }
        let quantity = Quantity::parse(name).ok_or_else(|| GateError::UnknownMetric {
            gate: text.to_owned(),
            name: name.to_owned(),
            nearest: Quantity::nearest(name).join(", "),
        })?;
        let (comparison, (threshold, clauses)) = match comparison {
            Some(comparison) => {
                let number = number::take(right, quantity.unit());
                let shown = right.split_whitespace().next().unwrap_or("");
                let problem = || syntax(format!("{shown:?} is not a number that {quantity} is counted in"));
                (comparison, number.ok_or_else(problem)?)
            }
            None if matches!(quantity, Quantity::Regression(_)) => (Comparison::AtMost, (0.0, right)),
            None => return Err(syntax("it has none of >=, <=, > and <".to_owned())),
        };
        let (text, against, data) = (text.to_owned(), None, None);
        let mut gate = Gate {
            text: text.clone(),
            model,
            quantity,
            comparison,
            threshold,
            against,
            data,
            is_confident: false,
        };
        gate.read_clauses(clauses).map_err(|problem| GateError::Syntax { gate: text, problem })?;
        match threshold::problem(&gate) {
            None => Ok(gate),
            Some(problem) => Err(GateError::Threshold { gate: gate.text, problem }),
        }
    }

    /// Reads the clauses after the number. A name reaches to the next clause, so it may hold spaces.
    fn read_clauses(&mut self, clauses: &str) -> Result<(), String> {
        const KNOWN: &str = "after the number come `vs MODEL`, `on DATA` and `with confidence`";
        let is_regression = matches!(self.quantity, Quantity::Regression(_));
        let mut words = clauses.split_whitespace().peekable();
        while let Some(keyword) = words.next() {
            let mut name = Vec::new();
            while let Some(word) = words.next_if(|word| !matches!(*word, "vs" | "on" | "with")) {
                name.push(word);
            }
            let slot = match keyword {
                "with" if name == ["confidence"] => {
                    self.is_confident = true;
                    continue;
                }
                "vs" if !self.quantity.compares() && !is_regression => {
                    return Err(format!("{} is not compared with another model", self.quantity));
                }
                "vs" => &mut self.against,
                "on" => &mut self.data,
                _ => return Err(format!("{keyword:?} is not understood; {KNOWN}")),
            };
            if name.is_empty() {
                return Err(format!("a name is missing after {keyword:?}"));
            }
            if slot.replace(name.join(" ")).is_some() {
                return Err(format!("{keyword:?} occurs twice"));
            }
        }
        if is_regression && self.against.is_none() {
            return Err("a regression needs the earlier report: `regression vs baseline.json`".to_owned());
        }
        Ok(())
    }
}

/// What stands before and after the comparison; without one, before and from the first ` vs `.
struct Sides<'a> {
    left: &'a str,
    comparison: Option<Comparison>,
    right: &'a str,
}

impl<'a> Sides<'a> {
    fn of(text: &'a str) -> Result<Self, String> {
        // Labels may hold anything but a closing bracket.
        let from = text.find(']').unwrap_or(0);
        let Some(at) = text[from..].find(['<', '>']).map(|at| from + at) else {
            let at = text.find(" vs ").ok_or("it has none of >=, <=, > and <")?;
            return Ok(Sides { left: &text[..at], comparison: None, right: &text[at..] });
        };
        let (comparison, width) = match &text.as_bytes()[at..] {
            [b'>', b'=', ..] => (Comparison::AtLeast, 2),
            [b'<', b'=', ..] => (Comparison::AtMost, 2),
            [b'>', ..] => (Comparison::Above, 1),
            _ => (Comparison::Below, 1),
        };
        Ok(Sides { left: &text[..at], comparison: Some(comparison), right: &text[at + width..] })
    }
}

#[cfg(test)]
mod tests {
    use super::super::quantity::{ClassFigure, CostFigure};
    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn every_part_is_read() {
        let gate =
            Gate::parse(" student 2: drop.macro_f1<=1% vs no teacher on in domain with confidence").unwrap();
        assert_eq!(gate.model.as_deref(), Some("student 2"));
        assert_eq!(gate.quantity, Quantity::Drop(Metric::MacroF1));
        assert_eq!((gate.comparison, gate.threshold), (Comparison::AtMost, 0.01));
        assert_eq!((gate.against.as_deref(), gate.data.as_deref()), (Some("no teacher"), Some("in domain")));
        assert!(gate.is_confident);
        let gate = Gate::parse("gain.accuracy >= 0 vs constant with confidence").unwrap();
        assert_eq!((gate.quantity, gate.is_confident), (Quantity::Gain(Metric::Accuracy), true));
        assert_eq!(gate.against.as_deref(), Some("constant"));
        let gate = Gate::parse("kept.accuracy > .97").unwrap();
        assert_eq!((gate.comparison, gate.threshold, gate.is_confident), (Comparison::Above, 0.97, false));
    }

    #[test]
    fn costs_classes_and_regressions_are_quantities_too() {
        let gate = Gate::parse("latency.p95 <= 20 ms").unwrap();
        assert_eq!((gate.quantity, gate.threshold), (Quantity::Cost(CostFigure::LatencyP95), 20.0));
        assert_eq!(Gate::parse("parameters < 20M").unwrap().threshold, 2e7);
        let gate = Gate::parse("m: f1[a: <b>] >= 0.8").unwrap();
        assert_eq!(gate.quantity, Quantity::Class(ClassFigure::F1, "a: <b>".to_owned()));
        assert_eq!(gate.model.as_deref(), Some("m"));
        let gate = Gate::parse("regression vs old/baseline.json with confidence").unwrap();
        assert_eq!((gate.comparison, gate.threshold), (Comparison::AtMost, 0.0));
        assert_eq!(gate.against.as_deref(), Some("old/baseline.json"));
        let gate = Gate::parse("regression.log_loss <= 0.02 vs b.json").unwrap();
        assert_eq!((gate.quantity, gate.threshold), (Quantity::Regression(Some(Metric::LogLoss)), 0.02));
    }

    #[test]
    fn an_unknown_metric_is_answered_with_the_nearest_names() {
        let error = Gate::parse("macro_f >= 0.9").unwrap_err();
        assert!(error.to_string().contains("did you mean macro_f1"), "{error}");
        let error = Gate::parse("kept.acuracy >= 0.9").unwrap_err();
        assert!(error.to_string().contains("did you mean kept.accuracy"), "{error}");
        let error = Gate::parse("latency.p90 <= 20ms").unwrap_err();
        assert!(error.to_string().contains("did you mean latency.p"), "{error}");
        assert_eq!(error.category().exit_code(), 2);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (gate, problem) in [
            ("", "none of >="),
            ("accuracy = 0.9", "none of >="),
            (">= 0.9", "a name is missing before"),
            (":accuracy >= 0.9", "a name is missing before"),
            ("accuracy >=", "\"\" is not a number"),
            ("accuracy >= nan", "\"nan\" is not a number"),
            ("accuracy >= 20ms", "\"20ms\" is not a number"),
            ("accuracy >= 0.9 vs teacher", "not compared with another model"),
            ("accuracy vs teacher", "none of >="),
            ("drop.accuracy <= 0.1 vs", "a name is missing after \"vs\""),
            ("drop.accuracy <= 0.1 on a on b", "\"on\" occurs twice"),
            ("accuracy >= 0.9 please", "\"please\" is not understood"),
            ("accuracy >= 0.9 with luck", "\"with\" is not understood"),
            ("regression <= 0.1", "needs the earlier report"),
        ] {
            let error = Gate::parse(gate).unwrap_err().to_string();
            assert!(error.contains(problem), "{gate}: {error}");
        }
    }
}
