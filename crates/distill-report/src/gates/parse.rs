//! From the text of a gate to its parts.

use super::GateError;
use super::quantity::Quantity;

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
    /// The model after `vs`; none: the teacher.
    pub against: Option<String>,
    /// The data set after `on`; none: every one.
    pub data: Option<String>,
}

impl Gate {
    /// Reads a gate.
    ///
    /// # Errors
    /// [`GateError::Syntax`] and [`GateError::UnknownMetric`], the latter with the nearest names.
    pub fn parse(text: &str) -> Result<Gate, GateError> {
        let text = text.trim();
        let syntax = |problem: String| GateError::Syntax { gate: text.to_owned(), problem };
        let (left, comparison, right) =
            split_at_comparison(text).ok_or_else(|| syntax("it has none of >=, <=, > and <".to_owned()))?;
        let (model, name) = match left.rsplit_once(':') {
            Some((model, name)) => (Some(model.trim().to_owned()), name.trim()),
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
        let (number, clauses) = right.trim().split_once(' ').unwrap_or((right.trim(), ""));
        let threshold = parse_number(number).ok_or_else(|| syntax(format!("{number:?} is not a number")))?;
        let mut gate =
            Gate { text: text.to_owned(), model, quantity, comparison, threshold, against: None, data: None };
        gate.read_clauses(clauses).map_err(syntax)?;
        Ok(gate)
    }

    /// Reads the clauses after the number. A name reaches to the next clause, so it may hold spaces.
    fn read_clauses(&mut self, clauses: &str) -> Result<(), String> {
        let mut words = clauses.split_whitespace().peekable();
        while let Some(keyword) = words.next() {
            let mut name = Vec::new();
            while let Some(word) = words.next_if(|word| !matches!(*word, "vs" | "on")) {
                name.push(word);
            }
            let slot = match keyword {
                "vs" if !self.quantity.compares() => {
                    return Err(format!("{} is not compared with another model", self.quantity));
                }
                "vs" => &mut self.against,
                "on" => &mut self.data,
                _ => {
                    return Err(format!(
                        "{keyword:?} is not understood; after the number come `vs MODEL` and `on DATA`"
                    ));
                }
            };
            if name.is_empty() {
                return Err(format!("a name is missing after {keyword:?}"));
            }
            if slot.replace(name.join(" ")).is_some() {
                return Err(format!("{keyword:?} stands twice"));
            }
        }
        Ok(())
    }
}

fn split_at_comparison(text: &str) -> Option<(&str, Comparison, &str)> {
    let at = text.find(['<', '>'])?;
    let (comparison, width) = match &text.as_bytes()[at..] {
        [b'>', b'=', ..] => (Comparison::AtLeast, 2),
        [b'<', b'=', ..] => (Comparison::AtMost, 2),
        [b'>', ..] => (Comparison::Above, 1),
        _ => (Comparison::Below, 1),
    };
    Some((&text[..at], comparison, &text[at + width..]))
}

/// A finite number, or a percentage: `98%` is 0.98.
fn parse_number(text: &str) -> Option<f64> {
    let (digits, scale) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100.0),
        None => (text, 1.0),
    };
    digits.parse::<f64>().ok().map(|number| number / scale).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metric;

    #[test]
    fn every_part_is_read() {
        let gate = Gate::parse(" student 2: drop.macro_f1<=1% vs no teacher on in domain ").unwrap();
        assert_eq!(gate.model.as_deref(), Some("student 2"));
        assert_eq!(gate.quantity, Quantity::Drop(Metric::MacroF1));
        assert_eq!((gate.comparison, gate.threshold), (Comparison::AtMost, 0.01));
        assert_eq!((gate.against.as_deref(), gate.data.as_deref()), (Some("no teacher"), Some("in domain")));
        let gate = Gate::parse("kept.accuracy > .97").unwrap();
        assert_eq!((gate.comparison, gate.threshold), (Comparison::Above, 0.97));
    }

    #[test]
    fn an_unknown_metric_is_answered_with_the_nearest_names() {
        let error = Gate::parse("macro_f >= 0.9").unwrap_err();
        assert!(error.to_string().contains("did you mean macro_f1"), "{error}");
        let error = Gate::parse("kept.acuracy >= 0.9").unwrap_err();
        assert!(error.to_string().contains("did you mean kept.accuracy"), "{error}");
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
            ("accuracy >= 0.9 vs teacher", "not compared with another model"),
            ("drop.accuracy <= 0.1 vs", "a name is missing after \"vs\""),
            ("drop.accuracy <= 0.1 on a on b", "\"on\" stands twice"),
            ("accuracy >= 0.9 please", "\"please\" is not understood"),
        ] {
            let error = Gate::parse(gate).unwrap_err().to_string();
            assert!(error.contains(problem), "{gate}: {error}");
        }
    }
}
