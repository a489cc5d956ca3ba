//! What the words on the page mean.

use crate::documents::{format, text};
use crate::report::Report;

const WORDS: [(&str, &str); 21] = [
    (
        "macro, weighted",
        "Averages over the classes: each counts the same, or by its rows. With one label a row, micro averages equal the accuracy.",
    ),
    (
        "samples, subset accuracy, Hamming loss",
        "Where rows have several labels: the mean over rows, the share of rows whose labels are all right, the share of pairs of row and label that are wrong. A label is predicted where its probability is above one half.",
    ),
    (
        "entity F1, precision, recall",
        "Where words have tags: an entity is right where its words and its type are. As seqeval has it by default, an entity also begins with I-; strict: only entities whose tags all follow the scheme.",
    ),
    (
        "wrong boundary, wrong type",
        "An entity of the labels that was found with some of its words, or with another type. Missed: with none; spurious: found where the labels have none.",
    ),
    (
        "answer F1, exact match",
        "Where questions are answered with a part of a text, as SQuAD's official scripts have it: the mean overlap of words with the best of the right answers, and the share that is right but for case, punctuation, articles and spaces.",
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
        "Share of the way from the student trained without a teacher to the teacher. Above 100 %: better than the teacher; below 0 %: the teacher did harm. No gap: the teacher is not shown to be better than that student.",
    ),
    (
        "gain",
        "How much better a model is than the same student trained without a teacher, in the metric's own unit; negative where it is worse.",
    ),
    (
        "always …",
        "The best answer that is always the same: the most frequent label or labels, or the mean. A model that is no better has learned nothing.",
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
    (
        "slices",
        "Parts of the rows, with Wilson intervals; those whose interval ends lowest for the student come first, so that few rows do so only where they are weak beyond chance.",
    ),
    (
        "likely label errors",
        "Rows where teacher and student agree against the label. Look at them before blaming the models.",
    ),
];

/// What a column's title, a metric or a tile means, for its tooltip.
pub fn explain(title: &str) -> Option<&'static str> {
    Some(match title {
        "accuracy" => "Share of rows with the right label.",
        "entity F1" => "Harmonic mean of entity precision and recall, over all types, as seqeval has it.",
        "entity precision" => "Share of the entities found whose words and type are right.",
        "entity recall" => "Share of the labels' entities that were found with their words and type.",
        "token accuracy" => "Share of the labelled words with the right tag.",
        "answer F1" => "Mean overlap of the words of the model's answers with the right ones.",
        "exact match" => "Share of questions whose answer is right but for case, punctuation and articles.",
        "wrong type" => "Entities found with the right words and another type.",
        "wrong boundary" => "Entities found with the right type and some of their words.",
        "wrong both" => "Entities found with another type and some of their words.",
        "missed" => "Entities of the labels of which no word was found in an entity.",
        "spurious" => "Entities found where the labels have none.",
        "balanced accuracy" => "Mean recall of the classes that have rows.",
        "macro F1" => "Mean F1 of the classes, each counting the same however many rows it has.",
        "weighted F1" => "Mean F1 of the classes, each counting by its rows.",
        "micro F1" => "F1 over all pairs of row and label; with one label a row the accuracy.",
        "precision" => "Share of the rows predicted as this class that are of it.",
        "recall" => "Share of the rows of this class that were found.",
        "F1" => "Harmonic mean of precision and recall.",
        "predicted" => "Rows predicted as this class.",
        "MCC" | "Cohen's kappa" => "Agreement with the labels beyond chance: 0 is chance, 1 is perfect.",
        "ROC AUC" => "How likely a row of a class scores above a row of another.",
        "average precision" => "Area under the precision-recall curve.",
        "log-loss" => "Mean of -log of the probability given to the label, in nats; lower is better.",
        "Brier" => "Mean squared distance of the probabilities from the label; lower is better.",
        "ECE" => "Mean distance of confidence from accuracy over 15 bins; lower is better.",
        "MCE" => "Largest distance of confidence from accuracy over 15 bins; lower is better.",
        "ECE, scaled" => "ECE after dividing the logits by the temperature that fits these rows best.",
        "best temperature" => "Above 1 the model is too sure of itself.",
        "agreement" => "Share of rows where the model predicts what the teacher predicts, right or wrong.",
        "KL" => "Mean divergence of the model's probabilities from the teacher's, in nats; 0: the same.",
        "MSE to teacher" => "Mean squared distance of the model's values from the teacher's.",
        "R2" => "Share of the variance of the labels that is explained.",
        "RMSE" => "Root of the mean squared error.",
        "Spearman" => "Correlation of the ranks of values and labels.",
        "kept" => "The model's figure divided by the teacher's.",
        "gap closed" | "of the gap closed" => {
            "Share of the way from the student trained without a teacher to the teacher. No gap: the teacher is not shown to \
             be better than that student."
        }
        "gain" | "gain over the student without a teacher" => {
            "How much better the model is than the same student trained without a teacher."
        }
        "role" => "The part that the model plays in the comparison.",
        "rows/s" => {
            "Rows a second in batches, tokenization included: the median round, under it the lowest and the highest."
        }
        "speed-up" | "the teacher's speed" => {
            "The model's rows a second divided by the teacher's: the median round, with the lowest and the highest."
        }
        "p50 ms" | "p95 ms" | "p99 ms" => {
            "Time from one text to its logits that this share of single rows does not exceed, with the lowest and the \
             highest round."
        }
        "McNemar p" => {
            "How likely so uneven a split of the rows that only one of two models has right would be by chance."
        }
        _ => return None,
    })
}

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
