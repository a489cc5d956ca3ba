//! Tables that sort.

use crate::documents::text;

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    html: String,
    /// What it sorts by, where that is a number.
    key: Option<f64>,
    is_text: bool,
}

impl Cell {
    /// Text, which is escaped.
    pub fn text(content: &str) -> Self {
        Cell { html: text::html(content), key: None, is_text: true }
    }

    /// Text with a note under it.
    pub fn noted(content: &str, note: Option<&str>) -> Self {
        let mut cell = Cell::text(content);
        if let Some(note) = note {
            cell.html.push_str(&format!("<br><span class=\"i\">{}</span>", text::html(note)));
        }
        cell
    }

    /// A number as it is to be read, and the value that it sorts by.
    pub fn number(shown: &str, key: f64) -> Self {
        Cell { html: text::html(shown), key: Some(key), is_text: false }
    }

    /// A number with its interval under it.
    pub fn figure(shown: &str, key: f64, interval: Option<String>) -> Self {
        let mut cell = Cell::number(shown, key);
        if let Some(interval) = interval {
            cell.html.push_str(&format!("<br><span class=\"i\">{}</span>", text::html(&interval)));
        }
        cell
    }

    /// Nothing to show; sorts below every number.
    pub fn none() -> Self {
        Cell { html: "–".to_owned(), key: Some(f64::NEG_INFINITY), is_text: false }
    }

    /// Finished HTML of this program's own making.
    pub fn html(html: String) -> Self {
        Cell { html, key: None, is_text: true }
    }
}

/// A tooltip that explains a title, where there is one.
pub fn hint(title: &str) -> String {
    let explained = super::glossary::explain(title);
    explained.map(|text| format!(" title=\"{}\"", text::html(text))).unwrap_or_default()
}

/// A table; columns whose cells are text are set to the left.
pub fn draw(caption: &str, header: &[&str], rows: &[Vec<Cell>]) -> String {
    let is_text = |column: usize| rows.first().and_then(|row| row.get(column)).is_some_and(|cell| cell.is_text);
    let mut out =
        format!("<div class=\"wide\"><table class=\"sort\" aria-label=\"{}\"><thead><tr>", text::html(caption));
    for (column, title) in header.iter().enumerate() {
        let class = if is_text(column) { " class=\"t\"" } else { "" };
        let hint = hint(title);
        out.push_str(&format!("<th scope=\"col\"{class}{hint}>{}</th>", text::html(title)));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let class = if cell.is_text { " class=\"t\"" } else { "" };
            let key = match cell.key {
                Some(key) if key.is_finite() => format!(" data-v=\"{key}\""),
                Some(_) => " data-v=\"-1e308\"".to_owned(),
                None => String::new(),
            };
            // In a table of metrics the first column has their names.
            let hint = if header.first() == Some(&"metric") && cell.is_text {
                hint(&cell.html)
            } else {
                String::new()
            };
            out.push_str(&format!("<td{class}{key}{hint}>{}</td>", cell.html));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}
