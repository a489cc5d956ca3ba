//! `distill inspect`: what a model directory holds, and what a smaller student of it would weigh.

use distill_core::text::visible;
use distill_data::TextTokenizer;
use distill_model::inspect::Parts;
use distill_model::student::{self, Shape};
use distill_model::{Model, ModelDirectory};
use distill_run::once;
use serde_json::{Value, json};
use tch::Device;

use crate::args::Inspect;
use crate::exit::Status;
use crate::output::printer;
use crate::session;

/// Runs the subcommand. Loading the weights also checks that every one of them fits.
///
/// # Errors
/// Whatever is wrong with the directory, or with the student asked for.
pub fn command(args: &Inspect) -> anyhow::Result<Status> {
    let stop = session::begin(&args.common)?;
    let directory = ModelDirectory::open_until(&args.model, &stop)?;
    directory.notes().iter().cloned().for_each(once::say);
    let config = directory.config();
    let labels = config.labels.clone();
    let build =
        |shape| student::initialize(&directory, shape, &labels, directory.config().problem_type, Device::Cpu);
    let model = build(Shape::default())?;
    let asked = Shape { layers: args.layers.as_deref(), hidden_size: args.hidden_size };
    let student = match asked {
        Shape { layers: None, hidden_size: None } => None,
        shape => Some(build(shape)?),
    };
    let parts = Parts::of(&model);
    let tokenizer = match tokenizer(&directory) {
        Ok(tokenizer) => tokenizer,
        Err(error) => json!({ "error": error.to_string() }),
    };
    let result = json!({
        "model_type": config.architecture.model_type,
        "architecture": config.architecture.class(config.head),
        "classifier": config.has_classifier(),
        "problem_type": config.problem_type.name(),
        "labels": labels,
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "vocabulary": config.vocab_size,
        "max_length": config.max_length(),
        "weights": if directory.has_weights() { json!(directory.weights_hash()?) } else { Value::Null },
        "parameters": parameters(&parts),
        "bytes": model.num_bytes(),
        "tokenizer": tokenizer,
        "students": students(&parts),
        "student": student.as_ref().map(weight),
    });
    if args.common.json {
        printer::json(&serde_json::to_string_pretty(&result)?)?;
    } else {
        printer::result(&text(&result, &parts, labels.names()))?;
    }
    Ok(Status::Done)
}

fn tokenizer(directory: &ModelDirectory) -> anyhow::Result<Value> {
    let longest = usize::try_from(directory.config().max_length()).unwrap_or(usize::MAX);
    let tokenizer = TextTokenizer::load(directory.path(), longest)?;
    Ok(json!({
        "entries": tokenizer.vocab_size(),
        "max_token_id": tokenizer.max_token_id(),
        "special_tokens": tokenizer.special_tokens(false),
        "special_tokens_of_a_pair": tokenizer.special_tokens(true),
    }))
}

fn parameters(parts: &Parts) -> Value {
    json!({
        "total": parts.total(),
        "embeddings": parts.embeddings,
        "layers": parts.layers,
        "rest": parts.rest,
        "head": parts.head,
    })
}

/// What students of fewer layers would weigh, in f32.
fn students(parts: &Parts) -> Vec<Value> {
    (1..parts.layers.len())
        .rev()
        .map(|layers| {
            let parameters = parts.with_layers(layers);
            json!({ "layers": layers, "parameters": parameters, "bytes": 4 * parameters })
        })
        .collect()
}

fn weight(student: &Model) -> Value {
    let config = student.config();
    json!({
        "layers": config.num_hidden_layers,
        "hidden_size": config.hidden_size,
        "attention_heads": config.num_attention_heads,
        "intermediate_size": config.intermediate_size,
        "parameters": student.num_parameters(),
        "bytes": student.num_bytes(),
    })
}

fn text(result: &Value, parts: &Parts, labels: &[String]) -> String {
    let mut lines = Vec::new();
    let mut say = |what: &str, found: String| lines.push(format!("{what:<14} {found}"));
    let number = |value: &Value| value.as_u64().map_or_else(|| value.to_string(), grouped);
    let word = |key: &str| visible(result[key].as_str().unwrap_or("none"));
    let head = if result["classifier"] == true { "" } else { ", no classification head" };
    say("architecture", format!("{} ({}){head}", word("model_type"), word("architecture")));
    let shape = |of: &Value| {
        format!(
            "{} of hidden size {}, {} attention heads, intermediate size {}",
            of["layers"], of["hidden_size"], of["attention_heads"], of["intermediate_size"]
        )
    };
    say("layers", shape(result));
    say("vocabulary", number(&result["vocabulary"]));
    say("max length", number(&result["max_length"]));
    say(
        "labels",
        format!(
            "{}: {} ({})",
            labels.len(),
            labels.iter().map(|label| visible(label)).collect::<Vec<_>>().join(", "),
            word("problem_type")
        ),
    );
    say("tokenizer", tokenizer_text(&result["tokenizer"]));
    let bytes = |of: &Value| printer::bytes(of["bytes"].as_u64().unwrap_or(0));
    say("parameters", format!("{}, {}", grouped(parts.total()), bytes(result)));
    say("  embeddings", grouped(parts.embeddings));
    for (count, layers) in runs(&parts.layers) {
        say("  layers", format!("{layers} of {}", grouped(count)));
    }
    say("  rest", grouped(parts.rest));
    say("  head", grouped(parts.head));
    let student = |of: &Value| {
        let share = of["parameters"].as_f64().unwrap_or(0.0) / parts.total().max(1) as f64;
        format!("{} parameters, {}, {:.1} %", number(&of["parameters"]), bytes(of), 100.0 * share)
    };
    match &result["student"] {
        Value::Null => {
            for of in result["students"].as_array().into_iter().flatten() {
                say("a student", format!("of {} layers: {}", of["layers"], student(of)));
            }
        }
        of => say("the student", format!("{}: {}", shape(of), student(of))),
    }
    lines.join("\n")
}

fn tokenizer_text(tokenizer: &Value) -> String {
    match tokenizer["error"].as_str() {
        Some(error) => visible(error),
        None => format!(
            "{} entries; {} special tokens around a text, {} around a pair",
            tokenizer["entries"], tokenizer["special_tokens"], tokenizer["special_tokens_of_a_pair"]
        ),
    }
}

/// Neighbours of the same count together: `[9, 9, 8]` to 9 twice, 8 once.
fn runs(counts: &[u64]) -> Vec<(u64, usize)> {
    counts.chunk_by(|left, right| left == right).map(|run| (run[0], run.len())).collect()
}

/// `12345678` as `12,345,678`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands_and_layers_by_size() {
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
        assert_eq!(runs(&[9, 9, 8]), [(9, 2), (8, 1)]);
    }
}
