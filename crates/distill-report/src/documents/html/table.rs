//! Tables on the page, which sort.

use crate::documents::table::{Cell, Table};
use crate::documents::text;

/// A tooltip that explains a title, where there is one.
pub fn hint(title: &str) -> String {
    let explained = super::glossary::explain(title);
    explained.map(|text| format!(" title=\"{}\"", text::html(text))).unwrap_or_default()
}

/// A table; columns whose cells are text are set to the left.
pub fn draw(caption: &str, table: &Table) -> String {
    let is_text = |column: usize| {
        table.rows.first().and_then(|row| row.get(column)).is_some_and(|cell| cell.key.is_none())
    };
    let mut out =
        format!("<div class=\"wide\"><table class=\"sort\" aria-label=\"{}\"><thead><tr>", text::html(caption));
    for (column, title) in table.header.iter().enumerate() {
        let class = if is_text(column) { " class=\"t\"" } else { "" };
        let hint = hint(title);
        out.push_str(&format!("<th scope=\"col\"{class}{hint}>{}</th>", text::html(title)));
    }
    out.push_str("</tr></thead><tbody>");
    // In a table of metrics the first column has their names.
    let has_metrics = table.header.first().is_some_and(|title| title == "metric");
    for row in &table.rows {
        out.push_str("<tr>");
        row.iter().for_each(|cell| out.push_str(&draw_cell(cell, has_metrics)));
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

fn draw_cell(cell: &Cell, has_metrics: bool) -> String {
    let class = if cell.key.is_none() { " class=\"t\"" } else { "" };
    let key = match cell.key {
        Some(key) if key.is_finite() => format!(" data-v=\"{key}\""),
        Some(_) => " data-v=\"-1e308\"".to_owned(),
        None => String::new(),
    };
    let hint = if has_metrics && cell.key.is_none() { hint(&cell.text) } else { String::new() };
    let content = match cell.class {
        _ if cell.is_none() => "–".to_owned(),
        Some(class) => format!("<b class=\"{class}\">{}</b>", text::html(&cell.text)),
        None => text::html(&cell.text),
    };
    let note = cell.note.as_deref().map(|note| format!("<br><span class=\"i\">{}</span>", text::html(note)));
    format!("<td{class}{key}{hint}>{content}{}</td>", note.unwrap_or_default())
}
