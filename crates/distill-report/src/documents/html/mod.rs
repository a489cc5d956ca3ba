//! `report.html`: one file that asks no network for anything, in light and dark, for screens of any
//! width and for paper. Without its script the tables do not sort; all else stays.

pub mod charts;
pub mod glossary;
pub mod models;
pub mod overview;
pub mod rows;
pub mod table;

use super::text;
use crate::documents::about as words;
use crate::report::{About, DataReport, Report};

/// Colours that tell models apart; a seventh model takes the first again.
pub const COLORS: usize = 6;

/// The content of `report.html`.
pub fn render(report: &Report) -> String {
    // The policy keeps every reader's browser from asking a network, whatever a name or a text holds.
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                          base-uri 'none'; form-action 'none'";
    let title = report.about.as_ref().map(|about| format!("{}: ", text::html(&about.run))).unwrap_or_default();
    let subtitle = report.about.as_ref().map(|about| text::html(&about.title()));
    let subtitle = subtitle.map(|text| format!(" <span class=\"soft\">{text}</span>")).unwrap_or_default();
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}Distillation report</title><style>{}</style></head><body>",
        include_str!("style.css")
    );
    out.push_str(&format!(
        "<header><h1>Distillation report{subtitle}</h1><button class=\"theme\" type=\"button\" hidden>light / dark</button></header><main>",
    ));
    out.push_str(&overview::render(report));
    report.data.iter().for_each(|set| data_set(&mut out, set, report.intervals.confidence));
    out.push_str(&charts::training(&report.training));
    out.push_str(&report.about.as_ref().map(about).unwrap_or_default());
    out.push_str(&glossary::render(report));
    out.push_str(&format!("</main><script>{}</script></body></html>\n", include_str!("script.js")));
    out
}

fn data_set(out: &mut String, set: &DataReport, confidence: f64) {
    let unlabelled = match set.rows - set.labelled {
        0 => String::new(),
        rows => format!(", {rows} more without a label"),
    };
    let name = text::html(&set.name);
    out.push_str(&format!(
        "<section><h2>{name} <span class=\"soft\">{} rows{unlabelled}</span></h2>",
        set.labelled
    ));
    out.push_str(&models::side_by_side(set));
    out.push_str(&models::entity_errors(set));
    out.push_str(&models::costs(set));
    out.push_str(&charts::data_set(set));
    out.push_str(&models::comparisons(set, confidence));
    out.push_str(&models::seeds(set));
    out.push_str(&rows::slices(set));
    out.push_str(&rows::errors(set));
    out.push_str(&models::all_metrics(set));
    out.push_str(&rows::classes(set));
    out.push_str("</section>");
}

/// The run, its models and their training, its rows.
fn about(about: &About) -> String {
    let data = words::data(about);
    let data = if data.rows.is_empty() { String::new() } else { table::draw("data sets", &data) };
    format!(
        "<section><h2>What this report is about</h2>{}{data}<p class=\"soft\">{}</p></section>",
        table::draw("models and their training", &words::table(about)),
        text::html(&words::versions(about))
    )
}
