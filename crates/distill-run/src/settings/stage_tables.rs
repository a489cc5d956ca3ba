//! Reading the table of a stage that trains: its own keys, and those of training.

use std::path::PathBuf;

use distill_student::TrainSettings;

use super::schema::{FinetuneSettings, STUDENT_KEYS, StudentSettings};

/// `deny_unknown_fields` and `flatten` exclude each other in serde, so a table is cut in two by
/// hand: keys of the training settings, and the stage's own.
pub(super) fn cut(table: toml::Table) -> Result<(toml::Table, toml::Table), toml::ser::Error> {
    let known = toml::Table::try_from(TrainSettings::default())?;
    Ok(table.into_iter().partition(|(key, _)| known.contains_key(key)))
}

/// The error lists the keys of both halves, so that the nearest of all can be named.
fn unknown(own: &str, all: &[&str]) -> toml::de::Error {
    serde::de::Error::custom(format!(
        "unknown field `{own}`, expected one of {}",
        all.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    ))
}

pub(super) fn train_over(base: TrainSettings, changes: toml::Table) -> Result<TrainSettings, String> {
    let base = toml::Table::try_from(base).map_err(|error| error.to_string())?;
    read_over(&base, changes)
}

/// Reads settings over a table of others. A table cut in two has lost its lines, so the key of a value
/// that cannot be read is found by reading each separately.
pub(super) fn read_over<T: serde::de::DeserializeOwned>(
    base: &toml::Table,
    changes: toml::Table,
) -> Result<T, String> {
    let read = |changes: toml::Table| -> Result<T, String> {
        let table: toml::Table = base.clone().into_iter().chain(changes).collect();
        table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    };
    for (key, value) in &changes {
        let alone = toml::Table::from_iter([(key.clone(), value.clone())]);
        read(alone).map_err(|message| format!("{key}: {message}"))?;
    }
    read(changes)
}

pub(super) fn check_keys(own: &toml::Table, names: &[&str]) -> Result<(), String> {
    let train = toml::Table::try_from(TrainSettings::default()).map_err(|error| error.to_string())?;
    let all: Vec<&str> = names.iter().copied().chain(train.keys().map(String::as_str)).collect();
    match own.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(unknown(key, &all).message().to_owned()),
        None => Ok(()),
    }
}

/// Refuses losses that need a teacher.
pub(super) fn without_a_teacher(train: &TrainSettings, what: &str) -> Result<(), String> {
    let belongs =
        |losses: &str, verb: &str| Err(format!("{losses} {verb} to [student]: {what} has no teacher"));
    if train.soft_weight != 0.0 {
        return belongs("soft_weight", "belongs");
    }
    if train.has_intermediate_losses() {
        return belongs("losses on intermediate layers", "belong");
    }
    Ok(())
}

impl TryFrom<toml::Table> for FinetuneSettings {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Self, String> {
        let (train, own) = cut(table).map_err(|error| error.to_string())?;
        check_keys(&own, &["model", "tokenizer"])?;
        let train = train_over(FinetuneSettings::default().train, train)?;
        without_a_teacher(&train, "fine-tuning")?;
        let path = |key: &str| match own.get(key) {
            None => Ok(None),
            Some(toml::Value::String(path)) => Ok(Some(PathBuf::from(path))),
            Some(other) => Err(format!("{key} is {other}, expected a path")),
        };
        Ok(FinetuneSettings { model: path("model")?, tokenizer: path("tokenizer")?, train })
    }
}

impl TryFrom<toml::Table> for StudentSettings {
    type Error = String;

    fn try_from(table: toml::Table) -> Result<Self, String> {
        let (train, own) = cut(table).map_err(|error| error.to_string())?;
        check_keys(&own, STUDENT_KEYS)?;
        let start = read_over(&toml::Table::new(), own)?;
        Ok(StudentSettings { start, train: train_over(TrainSettings::default(), train)? })
    }
}
