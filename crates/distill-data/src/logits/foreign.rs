//! What tables of other programs have that `distill` does not write: probabilities in place of logits, and
//! lists in separated values.

use std::path::Path;

use distill_task::{Activation, TaskId};

use crate::error::DataError;
use crate::source::json_value::JsonValue as Json;
use crate::source::{Columns, Label, RawLabel, Row, Source};

/// The column of logits.
pub(super) const LOGITS: &str = "logits";
/// The column that may stand in its place.
pub(super) const PROBABILITIES: &str = "probabilities";

/// Separated values by the reader of rows, for which the list is the text.
pub(super) fn separated(path: &Path) -> Result<Source, DataError> {
    let open = |name: &str| {
        let source = Source::open(path, &Columns { text: Some(name.to_owned()), ..Columns::default() })?;
        source.rows().map(|_| source)
    };
    open(LOGITS).or_else(|error| open(PROBABILITIES).map_err(|_| error))
}

/// A record of separated values.
pub(super) struct Record {
    pub(super) id: Json,
    pub(super) label: Option<Label<RawLabel>>,
    pub(super) logits: Vec<f32>,
}

impl Record {
    /// From a row whose text is the list, as JSON.
    pub(super) fn of(row: Row) -> Result<Self, String> {
        let logits =
            serde_json::from_str(&row.text).map_err(|error| format!("not a list of numbers: {error}"))?;
        Ok(Record { id: Json::Text(row.id), label: row.label, logits })
    }
}

/// Probabilities of one row to logits with the same softmax, or of several labels a row the same sigmoids.
pub(super) fn to_logits(values: &mut [f32], problem_type: TaskId) -> Result<(), String> {
    const ROUNDING: f64 = 1e-2;
    if problem_type.activation() == Activation::Identity {
        return Err(format!("{} has no probabilities; put the values in `logits`", problem_type.words()));
    }
    if let Some((class, value)) = values.iter().enumerate().find(|(_, value)| !(0.0..=1.0).contains(*value)) {
        return Err(format!("probability {class} is {value}, expected 0 to 1"));
    }
    if problem_type.activation() == Activation::Sigmoid {
        values.iter_mut().for_each(|value| *value = logit(*value));
        return Ok(());
    }
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    if (sum - 1.0).abs() > ROUNDING {
        return Err(format!("the probabilities add up to {sum:.4}, expected 1"));
    }
    // A probability of 0 has no logarithm; the smallest number there is comes nearest.
    values.iter_mut().for_each(|value| *value = value.max(f32::MIN_POSITIVE).ln());
    Ok(())
}

/// `ln(p / (1 − p))`, of 0 and 1 that of the numbers nearest to them.
fn logit(probability: f32) -> f32 {
    let probability = f64::from(probability).clamp(f64::from(f32::MIN_POSITIVE), 1.0 - f64::EPSILON);
    (probability / (1.0 - probability)).ln() as f32
}

#[cfg(test)]
mod tests {
    use super::super::LogitsTable;
    use super::*;

    type Found = (String, Option<Label<RawLabel>>, Vec<f32>);

    fn read(name: &str, text: &str) -> Result<Vec<Found>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        distill_core::atomic::write(&path, text.as_bytes()).unwrap();
        let table = LogitsTable::open(&path).map_err(|error| error.to_string())?;
        let rows = table.rows().map_err(|error| error.to_string())?;
        rows.map(|row| row.map(|row| (row.id, row.label, row.logits)).map_err(|error| error.to_string()))
            .collect()
    }

    #[test]
    fn probabilities_become_their_logarithms() {
        let found = read("a.jsonl", "{\"id\": \"x\", \"probabilities\": [0.25, 0.75, 0]}\n").unwrap();
        let expected = [0.25f32.ln(), 0.75f32.ln(), f32::MIN_POSITIVE.ln()];
        assert_eq!(found[0].2, expected);
        for (text, problem) in [
            ("{\"probabilities\": [0.5, 0.2]}", "add up to 0.7000"),
            ("{\"probabilities\": [1.5, -0.5]}", "probability 0 is 1.5"),
            (
                "{\"probabilities\": [0.5, 0.5]}\n{\"probabilities\": [1]}",
                "1 probabilities, rows before it have 2",
            ),
        ] {
            let error = read("a.jsonl", text).unwrap_err();
            assert!(error.contains(problem) && error.contains("\"probabilities\""), "{error}");
        }
    }

    #[test]
    fn separated_values_hold_lists_as_json() {
        let text = "id,label,logits\nx,HUM,\"[1.5, -2]\"\ny,,\"[0, 1e-3]\"\n";
        let found = read("a.csv", text).unwrap();
        assert_eq!(
            found[0],
            ("x".to_owned(), Some(Label::Class(RawLabel::Name("HUM".to_owned()))), vec![1.5, -2.0])
        );
        assert_eq!(found[1], ("y".to_owned(), None, vec![0.0, 1e-3]));
        assert_eq!(read("a.tsv", "id\tprobabilities\n7\t[1, 0]\n").unwrap()[0].2[0], 0.0);
        let error = read("a.csv", "id,logits\nx,1.5 -2\n").unwrap_err();
        assert!(error.contains("line 2") && error.contains("\"logits\": not a list of numbers"), "{error}");
        let error = read("a.csv", "id,logit\nx,1\n").unwrap_err();
        assert!(error.contains("did you mean \"logit\""), "{error}");
    }
}
