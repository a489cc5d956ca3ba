//! Predictions as JSONL or CSV, for people and scripts; Parquet is the logits table of the store.

use std::io::{self, ErrorKind, Write};
use std::path::Path;

use distill_core::LabelMap;
use distill_core::atomic::{AtomicFile, FileError};
use distill_data::TextTokenizer;
use distill_data::logits::LogitsRow;
use distill_data::source::Label;
use distill_task::logits::{above_zero, argmax, sigmoid, softmax};
use distill_task::tags::TagSet;
use distill_task::{Activation, Positions, TaskId};
use distill_teacher::RunnerError;
use distill_teacher::answers::best_answers;
use serde_json::{Value, json};

use crate::error::{Result, RunError};
use crate::{predict_answers, predict_tags};

/// Formats by the file's ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The logits table.
    Parquet,
    /// An object a row.
    Jsonl,
    /// A line a row, without logits.
    Csv,
}

impl Format {
    /// The format that a file's name asks for.
    ///
    /// # Errors
    /// Wrong usage for another ending.
    pub fn of(path: &Path) -> Result<Self> {
        match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
            "parquet" => Ok(Format::Parquet),
            "jsonl" | "ndjson" => Ok(Format::Jsonl),
            "csv" => Ok(Format::Csv),
            _ => Err(RunError::usage(format!(
                "{}: expected a name that ends in .parquet, .jsonl or .csv",
                path.display()
            ))),
        }
    }
}

/// Writes rows as text; the file appears when it is whole.
pub struct TextWriter<'a> {
    file: AtomicFile,
    format: Format,
    labels: &'a LabelMap,
    problem_type: TaskId,
    /// Of the model: what answers are a part of.
    tokenizer: &'a TextTokenizer,
    /// The tags of words, where rows have some.
    tags: Option<TagSet>,
}

impl<'a> TextWriter<'a> {
    /// Starts a file.
    ///
    /// # Errors
    /// Labels that are tags of no known scheme; a file that cannot be created.
    pub fn create(
        path: &Path,
        format: Format,
        labels: &'a LabelMap,
        problem_type: TaskId,
        tokenizer: &'a TextTokenizer,
    ) -> Result<Self> {
        let words = problem_type.positions() == Positions::Word;
        let tags = words.then(|| TagSet::new(labels.names())).transpose()?;
        let file = AtomicFile::create(path)?;
        let mut writer = TextWriter { file, format, labels, problem_type, tokenizer, tags };
        if format == Format::Csv {
            writer.line(match problem_type.activation() {
                Activation::Softmax => "row,id,label,prediction,probability",
                Activation::Sigmoid => "row,id,label,prediction,probabilities",
                Activation::Identity => "row,id,label,prediction",
            })?;
        }
        Ok(writer)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`FileError`] naming the file; [`RunnerError::Windows`].
    pub fn write(&mut self, rows: &[LogitsRow]) -> Result<(), RunnerError> {
        if self.problem_type.positions() == Positions::Span {
            let answers = best_answers(self.tokenizer, rows, &predict_answers::settings())?;
            for (row, answer) in rows.iter().zip(&answers) {
                let (cells, object) = predict_answers::of_row(row, answer);
                self.row(row, &cells, object, false)?;
            }
            return Ok(());
        }
        for row in rows {
            let (cells, object) = match (&self.tags, self.problem_type.activation()) {
                (Some(tags), _) => predict_tags::of_row(tags, row).map_err(|error| {
                    FileError::new("write", self.file.path(), io::Error::new(ErrorKind::InvalidData, error))
                })?,
                (None, Activation::Softmax) => self.one_class(row),
                (None, Activation::Sigmoid) => self.several_classes(row),
                (None, Activation::Identity) => number(row),
            };
            self.row(row, &cells, object, true)?;
        }
        Ok(())
    }

    /// Writes a line of these cells, or of these fields of an object.
    fn row(
        &mut self,
        row: &LogitsRow,
        cells: &[String],
        object: Value,
        with_logits: bool,
    ) -> Result<(), FileError> {
        let line = match self.format {
            Format::Csv => {
                let cells = cells.iter().map(|cell| field(cell));
                [row.row.to_string(), field(&row.id)].into_iter().chain(cells).collect::<Vec<_>>().join(",")
            }
            _ => {
                let mut line = json!({"row": row.row, "id": row.id, "label": row.label});
                if let (Some(line), Value::Object(object)) = (line.as_object_mut(), object) {
                    line.extend(object);
                    if with_logits {
                        line.insert("logits".to_owned(), json!(row.logits));
                    }
                }
                line.to_string()
            }
        };
        self.line(&line)
    }

    fn one_class(&self, row: &LogitsRow) -> (Vec<String>, Value) {
        let predicted = argmax(&row.logits);
        let probability = softmax(&row.logits)[predicted];
        let prediction = self.labels.name(predicted).unwrap_or_default();
        let class = row.label.as_ref().and_then(|label| label.classes().next());
        let label = class.and_then(|class| self.name(*class));
        let cells =
            vec![label.unwrap_or_default().to_owned(), prediction.to_owned(), format!("{probability:.6}")];
        let object = json!({
            "label_name": label, "prediction": predicted, "prediction_name": prediction, "probability": probability,
        });
        (cells, object)
    }

    /// Names between `|`, as such a cell is read; the probabilities of all labels in their order.
    fn several_classes(&self, row: &LogitsRow) -> (Vec<String>, Value) {
        let predicted: Vec<i32> = above_zero(&row.logits).map(|class| class as i32).collect();
        let probabilities: Vec<f64> = row.logits.iter().map(|logit| sigmoid(*logit)).collect();
        let names = |classes: &[i32]| classes.iter().filter_map(|class| self.name(*class)).collect::<Vec<_>>();
        let labels = row
            .label
            .as_ref()
            .map(|label| label.classes().filter_map(|class| self.name(*class)).collect::<Vec<_>>());
        let predictions = names(&predicted);
        let shown: Vec<String> = probabilities.iter().map(|value| format!("{value:.6}")).collect();
        let cells = vec![labels.as_deref().map(bars).unwrap_or_default(), bars(&predictions), shown.join("|")];
        let object = json!({
            "label_names": labels, "prediction": predicted, "prediction_names": predictions,
            "probabilities": probabilities,
        });
        (cells, object)
    }

    fn name(&self, class: i32) -> Option<&str> {
        self.labels.name(usize::try_from(class).ok()?)
    }

    /// Makes the file visible.
    ///
    /// # Errors
    /// [`FileError`] naming it.
    pub fn finish(self) -> Result<(), FileError> {
        self.file.commit()
    }

    fn line(&mut self, text: &str) -> Result<(), FileError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(|error| FileError::new("write", self.file.path(), error))
    }
}

/// The value that a model gives, and the label's.
fn number(row: &LogitsRow) -> (Vec<String>, Value) {
    let value = row.logits.first().copied().unwrap_or_default();
    let label =
        row.label.as_ref().and_then(|label| if let Label::Value(value) = label { Some(value) } else { None });
    let cells = vec![label.map(f64::to_string).unwrap_or_default(), value.to_string()];
    (cells, json!({"prediction": value}))
}

/// Names separated by bars; a single bar for none.
fn bars(names: &[&str]) -> String {
    if names.is_empty() { "|".to_owned() } else { names.join("|") }
}

/// A CSV field, quoted where it has to be (RFC 4180).
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_other_endings_refused() {
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert!(Format::of(Path::new("x.txt")).is_err());
    }
}
