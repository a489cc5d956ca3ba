//! The student's model card: the `README.md` of its directory, with its figures as `model-index`. No
//! times stand in it, so that the same model on the same rows has the same card.

use distill_task::{Positions, TaskId};

use super::format::{bytes, count, metric, percent};
use super::{table, text};
use crate::kinds;
use crate::metrics::Metric;

use crate::report::{DataReport, Figure, Finding, ModelReport, Report, Slice};

/// What a card says besides the figures. Nothing is claimed that is not given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardInfo {
    /// The model's name in the report.
    pub model: String,
    /// What to call it in the card; the name in the report if none.
    pub title: Option<String>,
    /// The Hugging Face id or name of the model that it was initialised from.
    pub base_model: Option<String>,
    /// Licence id, such as `apache-2.0`.
    pub license: Option<String>,
    /// Language codes, such as `en`.
    pub languages: Vec<String>,
    /// How the model was trained, as finished Markdown.
    pub training: Option<String>,
}

/// The metrics of a model that a card lists.
fn indexed<'a>(set: &DataReport, model: &'a ModelReport) -> impl Iterator<Item = (Metric, &'a Figure)> {
    let listed = kinds::of(set.problem_type).card().iter();
    listed.filter_map(|metric| Some((*metric, model.metrics.get(metric)?)))
}

/// The card; none where the report has no model of that name.
pub fn render(report: &Report, info: &CardInfo) -> Option<String> {
    let results: Vec<(&DataReport, &ModelReport)> =
        report.data.iter().filter_map(|set| Some((set, set.model(&info.model)?))).collect();
    if results.is_empty() {
        return None;
    }
    let title = info.title.as_deref().unwrap_or(&info.model);
    let mut out = front_matter(title, info, &results);
    out.push_str(&format!("\n# {}\n\n", text::markdown(title)));
    out.push_str(&introduction(&results));
    out.push_str("\n## Results\n");
    for (set, model) in &results {
        out.push_str(&result(set, model, report.intervals.confidence));
    }
    if let Some(training) = &info.training {
        out.push_str(&format!("\n## Training\n\n{}\n", training.trim()));
    }
    out.push_str(&usage(results[0].0.problem_type));
    out.push_str(&limits(&results, &report.findings));
    out.push_str(&format!("\nWritten by {} from its report.\n", text::markdown(&report.program)));
    Some(out)
}

/// How an answer is found. `transformers` 5 has no pipeline for it.
///
/// As `distill predict` chooses it, in a text of one window: start not after end, at most 30 tokens, both in the context, or both
/// the first token.
const ANSWER: &str = "\
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

directory = \"path/to/this/directory\"
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForQuestionAnswering.from_pretrained(directory)

def answer(question, context):  # an empty text: the context has no answer
    row = tokenizer(question, context, truncation=\"only_second\", return_offsets_mapping=True, return_tensors=\"pt\")
    places = row.pop(\"offset_mapping\")[0].tolist()
    with torch.no_grad():
        logits = model(**row)
    inside = torch.tensor([part == 1 for part in row.sequence_ids()])
    spans = (inside[:, None] & inside).triu().tril(29)  # at most 30 tokens
    spans[0, 0] = True  # no answer
    scores = logits.start_logits[0][:, None] + logits.end_logits[0]
    start, end = divmod(int(scores.masked_fill(~spans, -torch.inf).argmax()), len(places))
    return context[places[start][0]:places[end][1]]

print(answer(\"…\", \"…\"))
";

/// How the model is run by `transformers`.
fn usage(task: TaskId) -> String {
    let tag = task.pipeline_tag();
    // `first` gives a word the tag of its first sub-word, which is the one that was trained.
    let (option, input) = match task.positions() {
        Positions::Row => ("truncation=True", "\"a text\""),
        Positions::Word => ("aggregation_strategy=\"first\"", "\"a sentence\""),
        Positions::Span => return format!("\n## Use\n\n```python\n{ANSWER}```\n"),
        Positions::Masked => ("top_k=5", "\"a [MASK]\""),
    };
    format!(
        "\n## Use\n\n```python\nfrom transformers import pipeline\n\n\
         predict = pipeline(\"{tag}\", model=\"path/to/this/directory\", {option})\n\
         predict({input})\n```\n"
    )
}

fn front_matter(title: &str, info: &CardInfo, results: &[(&DataReport, &ModelReport)]) -> String {
    let mut out = String::from("---\n");
    if !info.languages.is_empty() {
        let languages: Vec<String> = info.languages.iter().map(|language| yaml(language)).collect();
        out.push_str(&format!("language: [{}]\n", languages.join(", ")));
    }
    if let Some(license) = &info.license {
        out.push_str(&format!("license: {}\n", yaml(license)));
    }
    if let Some(base_model) = &info.base_model {
        out.push_str(&format!("base_model: {}\n", yaml(base_model)));
    }
    let tag = results.first().map_or("text-classification", |(set, _)| set.problem_type.pipeline_tag());
    out.push_str(&format!("library_name: transformers\npipeline_tag: {tag}\ntags: [distillation, {tag}]\n"));
    out.push_str(&format!("model-index:\n- name: {}\n  results:\n", yaml(title)));
    for (set, model) in results {
        out.push_str(&format!("  - task:\n      type: {tag}\n"));
        out.push_str(&format!(
            "    dataset:\n      name: {}\n      type: {}\n",
            yaml(&set.name),
            yaml(&set.name)
        ));
        out.push_str("    metrics:\n");
        for (kind, Figure { value, .. }) in indexed(set, model) {
            let name = yaml(kind.title());
            out.push_str(&format!("    - type: {}\n      name: {name}\n      value: {value}\n", kind.name()));
        }
    }
    out.push_str("---\n");
    out
}

/// A string in double quotes, which YAML reads as JSON does.
fn yaml(content: &str) -> String {
    text::json(&serde_json::Value::from(content).to_string())
}

fn introduction(results: &[(&DataReport, &ModelReport)]) -> String {
    let Some((set, model)) = results.first() else { return String::new() };
    let names: Vec<String> = set.labels.iter().take(50).map(|label| text::markdown(label)).collect();
    let mut out = kinds::of(set.problem_type).introduction(set.labels.len(), &names.join(", "));
    if let Some(cost) = model.cost {
        out.push_str(&format!(" It has {} parameters ({}).", count(cost.parameters), bytes(cost.bytes)));
    }
    if let Some(against) = &model.against_teacher {
        out.push_str(&format!("\nIt was distilled from {}", text::markdown(&against.teacher)));
        let [headline, _] = set.headlines();
        if let Some(kept) = against.kept.get(&headline) {
            out.push_str(&format!(
                ", whose {} it keeps to {} on {}",
                headline.title(),
                percent(kept.value),
                text::markdown(&set.name)
            ));
        }
        out.push('.');
    }
    out.push('\n');
    out
}

fn result(set: &DataReport, model: &ModelReport, confidence: f64) -> String {
    let mut figures = table::Table::new(["metric", "value", "interval"]);
    for (kind, figure) in indexed(set, model) {
        let interval = figure.interval.map_or("-".to_owned(), |[low, high]| format!("{low:.4} to {high:.4}"));
        figures.push([kind.title().to_owned(), metric(figure.value), interval]);
    }
    format!(
        "\nOn {} ({} rows), with {} intervals:\n\n{}\n{}",
        text::markdown(&set.name),
        set.labelled,
        percent(confidence),
        figures.markdown(),
        if model.classes.is_empty() {
            String::new()
        } else {
            table::classes(model, set.counted()).without_notes().markdown()
        }
    )
}

/// Where the model is weak, as far as the report knows.
fn limits(results: &[(&DataReport, &ModelReport)], findings: &[Finding]) -> String {
    const SHOWN: usize = 5;
    let mut out =
        String::from("\n## Limits\n\nMeasured on the data above only; other texts may give other figures.\n");
    let serious = findings.iter().filter(|finding| finding.is_serious);
    let serious: String = serious.map(|finding| format!("- {}\n", text::markdown(&finding.text))).collect();
    if !serious.is_empty() {
        out.push_str(&format!("\n{serious}"));
    }
    for (set, model) in results {
        let Some(at) = set.models.iter().position(|known| known.name == model.name) else { continue };
        let mut weakest: Vec<_> =
            set.slices.iter().filter_map(|slice| Some((slice, slice.accuracies.get(at)?))).collect();
        let metric_of = set.slice_metric();
        let weakness = |slice: &Slice| slice.weakness(at).unwrap_or(f64::INFINITY);
        weakest.sort_by(|left, right| weakness(left.0).total_cmp(&weakness(right.0)));
        if !weakest.is_empty() {
            out.push_str(&format!("\nWeakest on {}:\n\n", text::markdown(&set.name)));
        }
        for (slice, accuracy) in weakest.into_iter().take(SHOWN) {
            let (by, value) = (text::markdown(&slice.by), text::markdown(&slice.value));
            out.push_str(&format!(
                "- {by} {value}: {} {} on {} rows\n",
                metric_of.title(),
                metric(accuracy.value),
                slice.rows
            ));
        }
    }
    out
}
