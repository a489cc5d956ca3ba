//! Tables of rows and classes: slices, lost rows, grown confusions, likely label errors, per-class figures.

use distill_task::TaskId;

use super::table;
use crate::documents::table::{self as words, Table, listed_classes};
use crate::documents::text;
use crate::kinds;
use crate::report::{DataReport, ErrorRow, Errors};

/// The slices, weakest first.
pub fn slices(set: &DataReport) -> String {
    if set.slices.is_empty() {
        return String::new();
    }
    let metric = set.slice_metric().title();
    format!("<h3>Weakest slices: {metric}</h3>{}", table::draw("slices", &words::slices(set, 3)))
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
        let table = table::draw("grown confusions", &words::grown_confusions(errors));
        out.push_str(&format!("<details><summary>Confusions that grew</summary>{table}</details>"));
    }
    if !errors.label_errors.is_empty() {
        let table = error_rows("likely label errors", &errors.label_errors);
        let summary = "Likely label errors: teacher and student agree against the label";
        out.push_str(&format!("<details><summary>{summary}</summary>{table}</details>"));
    }
    out
}

/// Texts come first, where there are any: a page has room for them.
fn error_rows(caption: &str, rows: &[ErrorRow]) -> String {
    let mut errors: Table = words::error_rows(rows);
    let has_text = rows.iter().any(|row| row.text.is_some());
    let title = errors.header.pop().filter(|_| has_text);
    errors.header.splice(1..1, title);
    for row in &mut errors.rows {
        let text = row.pop().filter(|_| has_text);
        row.splice(1..1, text);
    }
    for title in errors.header.iter_mut().filter(|title| matches!(title.as_str(), "student" | "teacher")) {
        title.push_str("'s confidence");
    }
    table::draw(caption, &errors)
}

/// Precision, recall and F1 of every class, a table a model.
pub fn classes(set: &DataReport) -> String {
    let model = |model: &crate::report::ModelReport| {
        let table = table::draw("classes", &words::classes(model, set.counted()));
        let rest = text::html(&words::left_out(listed_classes(model).1));
        format!(
            "<details><summary>Classes: {}</summary>{table}<p>{rest}</p></details>",
            text::html(&model.name)
        )
    };
    set.models.iter().filter(|model| !model.classes.is_empty()).map(model).collect()
}
