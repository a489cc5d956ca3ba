//! What a check found, for people and as JSON.

use std::path::PathBuf;

use distill_core::LabelMap;
use distill_data::source::{DocumentSource, DocumentsSummary, RawLabel, Source, Summary};
use distill_model::ModelDirectory;
use distill_student::TrainSettings;
use serde_json::{Value, json};

use super::problems::Problems;
use crate::error::Result;
use distill_report::documents::format::bytes;

/// All that was found.
#[derive(Debug, Default)]
pub struct Found {
    /// What is wrong.
    pub problems: Problems,
    /// What could not be looked at.
    pub notes: Vec<String>,
    /// Files of rows.
    pub rows: Vec<RowsFound>,
    /// Models that exist.
    pub models: Vec<ModelFound>,
    /// Students that are to be made.
    pub students: Vec<StudentFound>,
    /// The label map.
    pub labels: Option<LabelMap>,
    /// Gates that can be read.
    pub gates: usize,
    /// Disks.
    pub space: Vec<Space>,
}

/// A file of rows.
#[derive(Clone, Debug)]
pub struct RowsFound {
    place: String,
    path: PathBuf,
    rows: u64,
    unlabelled: u64,
    empty_texts: u64,
    columns: Vec<String>,
    classes: Vec<(String, u64)>,
}

/// A model directory.
#[derive(Clone, Debug)]
pub struct ModelFound {
    place: String,
    path: PathBuf,
    architecture: &'static str,
    layers: usize,
    hidden_size: i64,
    max_length: i64,
    parameters: u64,
}

/// A student.
#[derive(Clone, Debug)]
pub struct StudentFound {
    /// What it is called.
    pub place: &'static str,
    /// Its layers.
    pub layers: usize,
    /// About how many parameters it has.
    pub parameters: u64,
    /// How it is trained.
    pub train: TrainSettings,
}

/// A disk.
#[derive(Clone, Debug)]
pub struct Space {
    /// A directory on it.
    pub directory: PathBuf,
    /// The estimated need.
    pub needed: u64,
    /// What is free.
    pub free: u64,
}

impl RowsFound {
    /// What one pass over a file found.
    pub fn of(place: &str, source: &Source, summary: &Summary) -> Self {
        let names = source.columns();
        let mut columns = vec![names.text_name().to_owned()];
        columns.extend(summary.has_pair.then(|| names.text_pair_name().to_owned()));
        columns.extend((summary.unlabelled < summary.rows).then(|| names.label_name().to_owned()));
        let name = |label: &RawLabel| match label {
            RawLabel::Name(name) => name.clone(),
            RawLabel::Id(id) => id.to_string(),
        };
        RowsFound {
            place: place.to_owned(),
            path: source.path().to_owned(),
            rows: summary.rows,
            unlabelled: summary.unlabelled,
            empty_texts: summary.empty_texts,
            columns,
            classes: summary.label_counts.iter().map(|(label, count)| (name(label), *count)).collect(),
        }
    }

    /// The same of a file of texts without labels.
    pub fn of_texts(place: &str, texts: &DocumentSource, summary: &DocumentsSummary) -> Self {
        RowsFound {
            place: place.to_owned(),
            path: texts.path().to_owned(),
            rows: summary.documents,
            unlabelled: summary.documents,
            empty_texts: summary.empty,
            columns: texts.rows().map(|rows| rows.columns().text_name().to_owned()).into_iter().collect(),
            classes: Vec::new(),
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {} rows", self.path.display(), self.rows);
        for (count, what) in [(self.unlabelled, "without a label"), (self.empty_texts, "with an empty text")] {
            if count > 0 {
                text += &format!(", {count} {what}");
            }
        }
        let columns: Vec<String> = self.columns.iter().map(|column| format!("{column:?}")).collect();
        if !columns.is_empty() {
            text += &format!("; columns {}", columns.join(", "));
        }
        if !self.classes.is_empty() {
            text += &format!("; labels {}", first_of(&self.classes));
        }
        text
    }

    fn json(&self) -> Value {
        let classes: serde_json::Map<String, Value> =
            self.classes.iter().map(|(label, count)| (label.clone(), (*count).into())).collect();
        json!({"setting": self.place, "path": self.path, "rows": self.rows, "unlabelled": self.unlabelled,
            "empty_texts": self.empty_texts, "columns": self.columns, "label_counts": classes})
    }
}

/// The most frequent labels with their counts; a long list is shortened.
fn first_of(classes: &[(String, u64)]) -> String {
    const SHOWN: usize = 8;
    let mut sorted: Vec<&(String, u64)> = classes.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> =
        sorted.iter().take(SHOWN).map(|(label, count)| format!("{label} ({count})")).collect();
    let more = sorted.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &more
}

impl ModelFound {
    /// A model with this number of parameters.
    pub fn of(place: &str, directory: &ModelDirectory, parameters: u64) -> Self {
        let config = directory.config();
        ModelFound {
            place: place.to_owned(),
            path: directory.path().to_owned(),
            architecture: config.architecture.model_type,
            layers: config.num_hidden_layers,
            hidden_size: config.hidden_size,
            max_length: config.max_length(),
            parameters,
        }
    }

    fn text(&self) -> String {
        let ModelFound { path, architecture, layers, hidden_size, max_length, parameters, .. } = self;
        format!(
            "{}: {architecture}, {layers} layers, hidden size {hidden_size}, {parameters} parameters, texts of up \
             to {max_length} tokens",
            path.display()
        )
    }

    fn json(&self) -> Value {
        json!({"setting": self.place, "path": self.path, "model_type": self.architecture, "layers": self.layers,
            "hidden_size": self.hidden_size, "max_length": self.max_length, "parameters": self.parameters})
    }
}

impl Found {
    /// Adds a model, once for each setting.
    pub fn add_model(&mut self, model: ModelFound) {
        if !self.models.iter().any(|known| known.place == model.place) {
            self.models.push(model);
        }
    }

    /// Adds a student, once for each setting.
    pub fn add_student(&mut self, student: StudentFound) {
        if !self.students.iter().any(|known| known.place == student.place) {
            self.students.push(student);
        }
    }

    /// Parameters of the model of a setting.
    pub fn parameters_of(&self, place: &str) -> Option<u64> {
        self.models.iter().find(|model| model.place == place).map(|model| model.parameters)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut lines: Vec<(String, String)> = Vec::new();
        lines.extend(self.rows.iter().map(|rows| (rows.place.clone(), rows.text())));
        lines.extend(self.labels.iter().map(|labels| ("labels".to_owned(), labels.to_string())));
        lines.extend(self.models.iter().map(|model| (model.place.clone(), model.text())));
        for student in &self.students {
            let what = format!("{} layers, about {} parameters", student.layers, student.parameters);
            lines.push((student.place.to_owned(), what));
        }
        lines.push(("gates".to_owned(), self.gates.to_string()));
        for Space { directory, needed, free } in &self.space {
            let what =
                format!("{}: about {} needed, {} free", directory.display(), bytes(*needed), bytes(*free));
            lines.push(("disk".to_owned(), what));
        }
        lines.extend(self.notes.iter().map(|note| ("not checked".to_owned(), note.clone())));
        let last = match self.problems.len() {
            0 => "no problems found".to_owned(),
            1 => "1 problem".to_owned(),
            several => format!("{several} problems"),
        };
        lines.push(("result".to_owned(), last));
        let width = lines.iter().map(|(place, _)| place.chars().count()).max().unwrap_or(0);
        lines.iter().map(|(place, what)| format!("{place:<width$}  {what}")).collect::<Vec<_>>().join("\n")
    }

    /// One document.
    ///
    /// # Errors
    /// Where it cannot be written, which would be a defect.
    pub fn json(&self) -> Result<String> {
        let student = |student: &StudentFound| json!({"name": student.place, "layers": student.layers, "parameters": student.parameters});
        let space = |space: &Space| json!({"directory": space.directory, "needed_bytes": space.needed, "free_bytes": space.free});
        Ok(serde_json::to_string_pretty(&json!({
            "rows": self.rows.iter().map(RowsFound::json).collect::<Vec<_>>(),
            "labels": self.labels,
            "models": self.models.iter().map(ModelFound::json).collect::<Vec<_>>(),
            "students": self.students.iter().map(student).collect::<Vec<_>>(),
            "gates": self.gates,
            "space": self.space.iter().map(space).collect::<Vec<_>>(),
            "not_checked": self.notes,
            "problems": self.problems.json(),
        }))?)
    }
}
