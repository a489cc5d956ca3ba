//! What the words on the page mean.

use crate::documents::{format, text};
use crate::report::Report;

const WORDS: [(&str, &str); 16] = [
    (
        "macro, weighted",
        "Averages over the classes: each counts the same, or by its rows. With one label a row, micro averages equal the accuracy.",
    ),
    (
        "samples, subset accuracy, Hamming loss",
        "Where rows have several labels: the mean over rows, the share of rows whose labels are all right, the share of pairs of row and label that are wrong. A label is predicted where its probability is above one half.",
    ),
    (
        "R2, RMSE, MAE",
        "Where rows have numbers: the share of their variance that is explained, the root of the mean squared error, the mean absolute error.",
    ),
    ("MSE to teacher", "Mean squared distance of a model's values from the teacher's."),
    ("agreement", "Share of rows where a model predicts what the teacher predicts, right or wrong."),
    (
        "KL",
        "Mean divergence of the model's probabilities from the teacher's at temperature 1, in nats. 0: the same.",
    ),
    ("kept", "The model's figure divided by the teacher's."),
    (
        "gap closed",
        "Share of the way from the student trained without a teacher to the teacher. Above 100 %: better than the teacher; below 0 %: the teacher did harm.",
    ),
    ("difference", "Called one only where the interval of the paired difference excludes zero."),
    (
        "McNemar p",
        "How likely so uneven a split of the rows that only one of two models has right would be by chance (exact, two-sided).",
    ),
    ("MCC, Cohen's kappa", "Agreement with the labels beyond chance; 0 is chance, 1 is perfect."),
    (
        "ROC AUC",
        "How likely a row of a class scores above a row of another; mean over the classes that have rows.",
    ),
    ("log-loss, Brier", "How far the probabilities are from the labels; lower is better."),
    (
        "ECE, MCE",
        "Mean and largest distance of confidence from accuracy over 15 bins; scaled: after dividing the logits by the temperature that fits these rows best.",
    ),
    ("slices", "Parts of the rows; those where the student is weakest come first, with Wilson intervals."),
    (
        "likely label errors",
        "Rows where teacher and student agree against the label. Look at them before blaming the models.",
    ),
];

/// The last section of the page.
pub fn render(report: &Report) -> String {
    let intervals = report.intervals;
    let how = match intervals.resamples {
        0 => "No intervals were computed.".to_owned(),
        resamples => format!(
            "Intervals cover {} of {resamples} bootstrap resamples of the rows (seed {}).",
            format::percent(intervals.confidence),
            intervals.seed
        ),
    };
    let words: String = WORDS
        .iter()
        .map(|(word, meaning)| format!("<dt>{word}</dt><dd>{}</dd>", text::html(meaning)))
        .collect();
    let timed = report.timing.as_ref().map(|timing| format!("<p>{}</p>", text::html(&timing.sentence())));
    let timed = timed.unwrap_or_default();
    format!(
        "<section><h2>How to read this</h2><p>{how}</p>{timed}<dl>{words}</dl>\
         <p class=\"soft\">Made by {} (report schema {}).</p></section>",
        text::html(&report.program),
        report.schema_version
    )
}
