//! Tables of rows and classes: slices, lost rows, grown confusions, likely label errors, per-class figures.

use distill_task::TaskId;

use super::table::{self, Cell};
use crate::documents::table::{self as words, listed_classes};
use crate::documents::{format, text};
use crate::kinds;
use crate::metrics::ClassFigures;
use crate::report::{DataReport, ErrorRow, Errors};

/// The slices, weakest first.
pub fn slices(set: &DataReport) -> String {
    if set.slices.is_empty() {
        return String::new();
    }
    let titles: Vec<&str> = set.models.iter().map(|model| model.name.as_str()).collect();
    let header: Vec<&str> = ["by", "rows with", "rows"].into_iter().chain(titles).collect();
    let rows: Vec<Vec<Cell>> = set
        .slices
        .iter()
        .map(|slice| {
            let cells = slice.accuracies.iter().map(|figure| {
                let interval = figure.interval.map(|[low, high]| format!("{low:.3} to {high:.3}"));
                Cell::figure(&format!("{:.3}", figure.value), figure.value, interval)
            });
            let start = [
                Cell::text(&slice.by),
                Cell::text(&slice.value),
                Cell::number(&slice.rows.to_string(), slice.rows as f64),
            ];
            start.into_iter().chain(cells).collect()
        })
        .collect();
    let metric = set.slice_metric().title();
    format!("<h3>Weakest slices: {metric}</h3>{}", table::draw("slices", &header, &rows))
}

/// What every student got wrong.
pub fn errors(set: &DataReport) -> String {
    set.errors.iter().map(|errors| student_errors(errors, set.problem_type)).collect()
}

fn student_errors(errors: &Errors, problem_type: TaskId) -> String {
    let name = text::html(&errors.model);
    let (counts, lost) = match kinds::of(problem_type).has_distances() {
        true => (
            format!(
                "{} rows on which {name} is further off than the teacher; {} nearer.",
                errors.lost, errors.won
            ),
            "Rows with most more error than the teacher's",
        ),
        false => (
            format!(
                "{} rows that the teacher has right and {name} wrong; {} the other way round.",
                errors.lost, errors.won
            ),
            "Lost rows, surest first",
        ),
    };
    let mut out = format!("<h3>What {name} lost</h3><p>{counts}</p>");
    if !errors.lost_rows.is_empty() {
        let table = error_rows("lost rows", &errors.lost_rows);
        out.push_str(&format!("<details><summary>{lost}</summary>{table}</details>"));
    }
    if !errors.grown_confusions.is_empty() {
        let rows: Vec<Vec<Cell>> = errors
            .grown_confusions
            .iter()
            .map(|grown| {
                let count = |count: u64| Cell::number(&count.to_string(), count as f64);
                vec![
                    Cell::text(&grown.label),
                    Cell::text(&grown.predicted),
                    count(grown.teacher),
                    count(grown.student),
                ]
            })
            .collect();
        let table = table::draw("grown confusions", &["label", "predicted as", "teacher", "student"], &rows);
        out.push_str(&format!("<details><summary>Confusions that grew</summary>{table}</details>"));
    }
    if !errors.label_errors.is_empty() {
        let table = error_rows("likely label errors", &errors.label_errors);
        let summary = "Likely label errors: teacher and student agree against the label";
        out.push_str(&format!("<details><summary>{summary}</summary>{table}</details>"));
    }
    out
}

fn error_rows(caption: &str, rows: &[ErrorRow]) -> String {
    let has_text = rows.iter().any(|row| row.text.is_some());
    let has_shares = rows.iter().any(|row| row.confidence.is_some());
    let mut header = vec!["id", "label", "predicted"];
    if has_shares {
        header.extend(["student's confidence", "teacher's confidence"]);
    }
    if has_text {
        header.insert(1, "text");
    }
    let cells = |row: &ErrorRow| {
        let share = |value: f64| Cell::number(&format!("{value:.3}"), value);
        let mut cells = vec![Cell::text(&row.id), Cell::text(&row.label), Cell::text(&row.predicted)];
        if has_shares {
            let shares = [row.confidence, row.teacher_confidence];
            cells.extend(shares.map(|value| value.map_or(Cell::none(), share)));
        }
        if has_text {
            cells.insert(1, Cell::text(row.text.as_deref().unwrap_or("")));
        }
        cells
    };
    table::draw(caption, &header, &rows.iter().map(cells).collect::<Vec<_>>())
}

/// Precision, recall and F1 of every class, a table a model.
pub fn classes(set: &DataReport) -> String {
    let header = ["label", "precision", "recall", "F1", set.counted(), "predicted"];
    let row = |class: &ClassFigures| {
        let share = |value: f64| Cell::number(&format::metric(value), value);
        let interval = class.f1_interval.map(|[low, high]| format!("{low:.3} to {high:.3}"));
        vec![
            Cell::text(&class.label),
            share(class.precision),
            share(class.recall),
            Cell::figure(&format::metric(class.f1), class.f1, interval),
            Cell::number(&class.support.to_string(), class.support as f64),
            Cell::number(&class.predicted.to_string(), class.predicted as f64),
        ]
    };
    let model = |model: &crate::report::ModelReport| {
        let (classes, left_out) = listed_classes(model);
        let rows: Vec<Vec<Cell>> = classes.into_iter().map(row).collect();
        let table = table::draw("classes", &header, &rows);
        let rest = text::html(&words::left_out(left_out));
        format!(
            "<details><summary>Classes: {}</summary>{table}<p>{rest}</p></details>",
            text::html(&model.name)
        )
    };
    set.models.iter().filter(|model| !model.classes.is_empty()).map(model).collect()
}
