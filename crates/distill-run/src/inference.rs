//! A classifier over rows, as run by teacher, predict and report, and the record of such a pass.

use std::collections::BTreeMap;

use distill_core::Category;
use distill_core::record::RunRecord;
use distill_data::TextTokenizer;
use distill_data::logits::Fingerprint;
use distill_model::{Model, ModelConfig};
use distill_teacher::forward::default_batch_tokens;
use distill_teacher::{RunStats, Runner};
use serde_json::{Value, json};

use crate::error::{Result, RunError};
use crate::session::{Session, dtype_name};
use crate::settings::Settings;

/// The runner over a model.
pub fn runner<'a>(
    model: &'a Model,
    tokenizer: &'a TextTokenizer,
    settings: &Settings,
    session: &'a Session,
) -> Runner<'a> {
    let batch_tokens = settings.teacher.batch_tokens.unwrap_or_else(|| default_batch_tokens(session.device));
    Runner { model, tokenizer, batch_tokens, stop: &session.stop, progress: &*session.progress }
}

/// The fingerprint of logits that this run computes.
///
/// # Errors
/// Where the record lacks an input, which would be a defect.
pub fn fingerprint(
    record: &RunRecord,
    config: &ModelConfig,
    max_length: usize,
    session: &Session,
) -> Result<Fingerprint> {
    let input = |name: &str| match record.inputs.get(name) {
        Some(hash) => Ok(hash.clone()),
        // Without it the logits of other rows or another model would look like these.
        None => Err(RunError::of(Category::Internal, format!("the record has no hash of the input {name}"))),
    };
    Ok(Fingerprint {
        format_version: Fingerprint::version_of(config.problem_type),
        teacher_weights: input("model")?,
        tokenizer: input("tokenizer")?,
        label_map: config.labels.clone(),
        problem_type: config.problem_type,
        max_length: u32::try_from(max_length).unwrap_or(u32::MAX),
        dtype: dtype_name(session.kind).to_owned(),
        dataset: input("data")?,
    })
}

/// Label names are in `config.json`, outside the weights' hash.
pub fn labels_hash(config: &ModelConfig) -> String {
    let labels = config.labels.names().iter().map(|name| ("label", name.as_str()));
    // Omitted for single-label classification, so that earlier passes stay up to date.
    let kind = (!config.problem_type.is_default()).then(|| ("problem_type", config.problem_type.name()));
    distill_core::hash::parts_hash(labels.chain(kind))
}

/// Figures of a pass for `run.json`.
pub fn results(stats: &RunStats) -> BTreeMap<String, Value> {
    [
        ("rows", json!(stats.rows)),
        ("tokens", json!(stats.tokens)),
        ("truncated", json!(stats.truncated)),
        ("empty", json!(stats.empty)),
        ("seconds", json!(stats.seconds)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
