//! What a report is about: the run's name and date, models with their training, data sets.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use distill_core::calendar;
use distill_core::record::RunRecord;
use distill_report::report::{About, DataInfo, ModelInfo};
use serde_json::Value;

use super::measure::OpenModel;
use super::named::Entry;
use super::{Opened, ReportStage};

impl ReportStage<'_> {
    /// All of it. `record` has the hashes of this report's inputs.
    pub(super) fn about(&self, opened: &Opened, out: &Path, record: &RunRecord) -> About {
        let hash = |name: String| record.inputs.get(&name).cloned();
        let of_model = |model: &OpenModel| model_info(model, hash(format!("model {}", model.entry.name)));
        let mut models: Vec<ModelInfo> = opened.models.iter().map(of_model).collect();
        for (set, entries) in &opened.tables {
            models.extend(entries.iter().map(|Entry { name, path, .. }| ModelInfo {
                hash: hash(format!("predictions {name} on {set}")),
                path: path.display().to_string(),
                name: name.clone(),
                ..ModelInfo::default()
            }));
        }
        let data = self.sets().into_iter().map(|(name, path)| DataInfo {
            hash: hash(format!("data {name}")),
            path: path.display().to_string(),
            name,
        });
        // Without timing a report is the same bytes every time.
        let date = self.settings.report.timing.then(now).flatten();
        About { run: run_name(out), date, versions: record.versions.clone(), models, data: data.collect() }
    }
}

fn model_info(model: &OpenModel, hash: Option<String>) -> ModelInfo {
    let OpenModel { entry, directory, tokenizer } = model;
    let config = directory.config();
    let (trained_by, training) = training(&entry.path).unwrap_or_default();
    ModelInfo {
        name: entry.name.clone(),
        path: entry.path.display().to_string(),
        hash,
        architecture: config.to_json()["model_type"].as_str().map(str::to_owned),
        layers: Some(config.num_hidden_layers),
        hidden_size: usize::try_from(config.hidden_size).ok(),
        parameters: None,
        max_length: Some(tokenizer.max_length()),
        trained_by,
        training,
    }
}

/// The command that trained a model and its settings, if its run's directory still has both.
fn training(model: &Path) -> Option<(Option<String>, BTreeMap<String, Value>)> {
    /// The settings of a training that a report shows, by their names there.
    const SETTINGS: [(&str, &str); 15] = [
        ("loss", "soft_loss"),
        ("hard_weight", "hard_weight"),
        ("soft_weight", "soft_weight"),
        ("temperature", "temperature"),
        ("hidden_weight", "hidden_weight"),
        ("attention_weight", "attention_weight"),
        ("relation_weight", "relation_weight"),
        ("epochs", "epochs"),
        ("batch_size", "batch_size"),
        ("learning_rate", "learning_rate"),
        ("label_smoothing", "label_smoothing"),
        ("class_weights", "class_weights"),
        ("sampling", "sampling"),
        ("freeze", "freeze"),
        ("best_metric", "best_metric"),
    ];
    let run = model.parent().filter(|_| model.file_name().is_some_and(|name| name == "model"))?;
    let record = RunRecord::read(run).ok().filter(|record| !record.results.is_empty())?;
    let table = &record.settings[&record.command];
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let mut add = |name: &str, value: &Value| {
        if !value.is_null() {
            found.insert(name.to_owned(), value.clone());
        }
    };
    let is_taught = table["soft_weight"].as_f64().is_some_and(|weight| weight > 0.0);
    for (key, name) in SETTINGS {
        // What is multiplied by nothing says nothing.
        let is_used = is_taught || !["loss", "temperature"].contains(&key);
        let is_off = key.ends_with("_weight") && !["hard_weight", "soft_weight"].contains(&key);
        if is_used && !(is_off && table[key].as_f64() == Some(0.0)) {
            add(name, &table[key]);
        }
    }
    add("max_length", &record.settings["data"]["max_length"]);
    for name in ["seed", "dtype"] {
        add(name, &record.settings[name]);
    }
    for name in ["train_rows", "validation_rows", "best_epoch", "stopped_early"] {
        add(name, record.results.get(name).unwrap_or(&Value::Null));
    }
    for name in ["data", "targets", "init"] {
        if let Some(hash) = record.inputs.get(name) {
            add(name, &Value::from(hash.as_str()));
        }
    }
    for (name, version) in &record.versions {
        add(name, &Value::from(version.as_str()));
    }
    Some((Some(record.command), found))
}

/// A pipeline's report is in `report` of the run's directory.
fn run_name(out: &Path) -> String {
    let whole = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let own = name(&whole).unwrap_or_else(|| whole.display().to_string());
    match whole.parent().and_then(name) {
        Some(run) if own == "report" => run,
        _ => own,
    }
}

/// The time in UTC, as `SOURCE_DATE_EPOCH` has it where that is set.
fn now() -> Option<String> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.parse().ok());
    let seconds = match given {
        Some(seconds) => seconds,
        None => SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs(),
    };
    Some(date(seconds))
}

/// `2026-11-30 19:04` of seconds since 1970.
fn date(seconds: u64) -> String {
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    let day = calendar::date(days.cast_signed());
    format!("{day} {:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d @SECONDS`.
    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00"),
            (951_826_541, "2000-02-29 12:15"),
            (1_709_251_199, "2024-02-29 23:59"),
            (1_735_689_600, "2025-01-01 00:00"),
            (4_107_542_400, "2100-03-01 00:00"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn a_report_is_called_after_its_run() {
        assert_eq!(run_name(Path::new("/runs/trec/report")), "trec");
        assert_eq!(run_name(Path::new("/runs/mine")), "mine");
    }
}
