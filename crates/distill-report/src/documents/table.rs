//! Tables before they take a document's form: the same rows in Markdown and on the terminal.

use super::format::{bytes, count, metric, percent, rate, times};
use super::text;
use crate::metrics::Metric;
use crate::report::{DataReport, ModelReport};

/// A table of finished cells. The first column is text, the others are numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Column titles.
    pub header: Vec<String>,
    /// Cells, as many a row as there are titles.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Table { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// As Markdown; cells are escaped.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| text::markdown(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule: Vec<&str> = (0..self.header.len()).map(|at| if at == 0 { "---" } else { "---:" }).collect();
        let mut out = line(&self.header);
        out.push_str(&format!("| {} |\n", rule.join(" | ")));
        self.rows.iter().for_each(|row| out.push_str(&line(row)));
        out
    }
}

/// The models side by side; a column that no model has a value for is left out.
pub fn models(set: &DataReport) -> Table {
    let mut table = Table::new(["model"]);
    table.rows = set.models.iter().map(|model| vec![model.name.clone()]).collect();
    for (title, cell) in MODEL_COLUMNS {
        let cells: Vec<Option<String>> = set.models.iter().map(cell).collect();
        if cells.iter().all(Option::is_none) {
            continue;
        }
        table.header.push((*title).to_owned());
        for (row, cell) in table.rows.iter_mut().zip(cells) {
            row.push(cell.unwrap_or_else(|| "-".to_owned()));
        }
    }
    table
}

type ModelCell = fn(&ModelReport) -> Option<String>;

const MODEL_COLUMNS: &[(&str, ModelCell)] = &[
    ("accuracy", |model| model.value(Metric::Accuracy).map(metric)),
    ("macro F1", |model| model.value(Metric::MacroF1).map(metric)),
    ("weighted F1", |model| model.value(Metric::WeightedF1).map(metric)),
    ("agreement", |model| model.value(Metric::Agreement).map(metric)),
    ("KL", |model| model.value(Metric::Kl).map(metric)),
    ("kept", |model| Some(percent(model.against_teacher.as_ref()?.kept.get(&Metric::Accuracy)?.value))),
    ("gap closed", |model| {
        Some(percent(model.against_teacher.as_ref()?.gap_closed.get(&Metric::Accuracy)?.value))
    }),
    ("parameters", |model| model.cost.map(|cost| count(cost.parameters))),
    ("size", |model| model.cost.map(|cost| bytes(cost.bytes))),
    ("rows/s", |model| model.cost.map(|cost| rate(cost.rows_per_second))),
    ("speed-up", |model| model.against_teacher.as_ref()?.speed_up.map(times)),
];

/// Precision, recall and F1 of every model, averaged in three ways.
pub fn averages(set: &DataReport) -> Table {
    const KINDS: [(&str, [Metric; 3]); 3] = [
        ("macro", [Metric::MacroPrecision, Metric::MacroRecall, Metric::MacroF1]),
        ("micro", [Metric::MicroPrecision, Metric::MicroRecall, Metric::MicroF1]),
        ("weighted", [Metric::WeightedPrecision, Metric::WeightedRecall, Metric::WeightedF1]),
    ];
    let mut table = Table::new(["model", "average", "precision", "recall", "F1"]);
    for model in &set.models {
        for (kind, metrics) in KINDS {
            let values = metrics.iter().map(|name| model.value(*name).map_or("-".to_owned(), metric));
            table.rows.push([model.name.clone(), kind.to_owned()].into_iter().chain(values).collect());
        }
    }
    table
}

/// The classes of one model.
pub fn classes(model: &ModelReport) -> Table {
    let mut table = Table::new(["label", "precision", "recall", "F1", "rows", "predicted"]);
    table.rows = model
        .classes
        .iter()
        .map(|class| {
            let shares = [class.precision, class.recall, class.f1].map(metric);
            let counts = [class.support, class.predicted].map(|count| count.to_string());
            [class.label.clone()].into_iter().chain(shares).chain(counts).collect()
        })
        .collect();
    table
}

/// The confusion matrix of one model: labels down, predictions across.
pub fn confusion(set: &DataReport, model: &ModelReport) -> Table {
    let mut table = Table::new([r"label \ predicted"]);
    table.header.extend(set.labels.iter().cloned());
    table.rows = model
        .confusion
        .iter()
        .zip(&set.labels)
        .map(|(counts, label)| [label.clone()].into_iter().chain(counts.iter().map(u64::to_string)).collect())
        .collect();
    table
}

/// The most frequent confusions of one model, for label maps too wide for a matrix.
pub fn top_confusions(set: &DataReport, model: &ModelReport, shown: usize) -> Table {
    let mut cells: Vec<(u64, usize, usize)> = Vec::new();
    for (label, counts) in model.confusion.iter().enumerate() {
        cells.extend(
            counts
                .iter()
                .enumerate()
                .filter(|(at, count)| *at != label && **count > 0)
                .map(|(at, count)| (*count, label, at)),
        );
    }
    cells.sort_by_key(|(count, label, predicted)| (std::cmp::Reverse(*count), *label, *predicted));
    let mut table = Table::new(["label", "predicted", "rows"]);
    table.rows = cells
        .into_iter()
        .take(shown)
        .map(|(count, label, predicted)| {
            vec![set.labels[label].clone(), set.labels[predicted].clone(), count.to_string()]
        })
        .collect();
    table
}
