//! Tables before they take a document's form: the same cells in Markdown, on the terminal, on the page and in the model card.

pub use super::class_tables::{classes, confusion, entity_errors, left_out, listed_classes, top_confusions};
pub use super::comparison_tables::{
    difference_in_words, differences, error_rows, grown_confusions, seeds, shown, slices,
};
use super::format::metric;
pub use super::model_tables::{Room, across, across_short, costs, metrics, models};
use super::text;
use crate::report::Figure;

/// A cell, before it is escaped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// What is read.
    pub text: String,
    /// What is said of it in small: an interval, or of a model its part.
    pub note: Option<String>,
    /// What numbers sort by; none: it is text.
    pub key: Option<f64>,
    /// The class of a word that has a colour on the page.
    pub class: Option<&'static str>,
}

impl Cell {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Cell { text: text.into(), ..Cell::default() }
    }

    /// A number as it is to be read, and the value that it sorts by.
    pub fn number(text: impl Into<String>, key: f64) -> Self {
        Cell { text: text.into(), key: Some(key), ..Cell::default() }
    }

    /// A count.
    pub fn count(count: u64) -> Self {
        Cell::number(count.to_string(), count as f64)
    }

    /// A figure with four digits, and its interval.
    pub fn figure(figure: &Figure) -> Self {
        let interval = figure.interval.map(|[low, high]| format!("{low:.4} to {high:.4}"));
        Cell::number(metric(figure.value), figure.value).noted(interval)
    }

    /// Nothing to show; sorts below every number.
    pub fn none() -> Self {
        Cell::number("-", f64::NEG_INFINITY)
    }

    /// True of [`Cell::none`].
    pub fn is_none(&self) -> bool {
        *self == Cell::none()
    }

    /// The cell with a note.
    pub fn noted(self, note: Option<String>) -> Self {
        Cell { note, ..self }
    }

    /// In one line: a number with its note in brackets, text without.
    pub fn line(&self) -> String {
        match &self.note {
            Some(note) if self.key.is_some() => format!("{} ({note})", self.text),
            _ => self.text.clone(),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::text(text)
    }
}

/// A table of finished cells. In Markdown and on the terminal all columns but the first are set to the right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column titles.
    pub header: Vec<String>,
    /// Cells, as many a row as there are titles.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Table { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, cells: impl IntoIterator<Item = impl Into<Cell>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table without what is said in small.
    pub fn without_notes(mut self) -> Self {
        self.rows.iter_mut().flatten().for_each(|cell| cell.note = None);
        self
    }

    /// As Markdown; cells are escaped.
    pub fn markdown(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = cells.map(|cell| text::markdown(&cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<&str> = (0..self.header.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
        let mut out = line(&mut self.header.iter().cloned());
        out.push_str(&format!("| {} |\n", rule.join(" | ")));
        self.rows.iter().for_each(|row| out.push_str(&line(&mut row.iter().map(Cell::line))));
        out
    }
}
