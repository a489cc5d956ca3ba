//! Predictions as JSONL or CSV, for people and scripts; Parquet is the logits table of the store.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use distill_core::LabelMap;
use distill_core::atomic::{AtomicFile, FileError};
use distill_data::logits::LogitsRow;
use distill_teacher::forward::argmax;
use serde_json::json;

use crate::exit::Failure;

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
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().unwrap_or_default().to_string_lossy().to_lowercase().as_str() {
            "parquet" => Ok(Format::Parquet),
            "jsonl" | "ndjson" => Ok(Format::Jsonl),
            "csv" => Ok(Format::Csv),
            _ => bail!(Failure::usage(format!(
                "{}: expected a name ending in .parquet, .jsonl or .csv",
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
}

impl<'a> TextWriter<'a> {
    /// Starts a file.
    ///
    /// # Errors
    /// [`FileError`] naming it.
    pub fn create(path: &Path, format: Format, labels: &'a LabelMap) -> Result<Self, FileError> {
        let mut writer = TextWriter { file: AtomicFile::create(path)?, format, labels };
        if format == Format::Csv {
            writer.line("row,id,label,prediction,probability")?;
        }
        Ok(writer)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`FileError`] naming the file.
    pub fn write(&mut self, rows: &[LogitsRow]) -> Result<(), FileError> {
        for row in rows {
            let predicted = argmax(&row.logits);
            let probability = probability(&row.logits, predicted);
            let prediction = self.labels.name(predicted).unwrap_or_default();
            let label = row.label.and_then(|id| self.labels.name(usize::try_from(id).ok()?));
            let line = match self.format {
                Format::Csv => [
                    row.row.to_string(),
                    field(&row.id),
                    field(label.unwrap_or_default()),
                    field(prediction),
                    format!("{probability:.6}"),
                ]
                .join(","),
                _ => json!({
                    "row": row.row, "id": row.id, "label": row.label, "label_name": label, "prediction": predicted,
                    "prediction_name": prediction, "probability": probability, "logits": row.logits,
                })
                .to_string(),
            };
            self.line(&line)?;
        }
        Ok(())
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

/// Softmax of one class.
fn probability(logits: &[f32], class: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponents: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    exponents[class] / exponents.iter().sum::<f64>()
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
    fn probabilities_do_not_overflow_and_fields_are_quoted() {
        assert!((probability(&[1000.0, 1000.0], 0) - 0.5).abs() < 1e-12);
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert!(Format::of(Path::new("x.txt")).is_err());
    }
}
