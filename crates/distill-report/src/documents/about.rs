//! What a report is about, as a table: a line a fact, a column a model.

use serde_json::Value;

use super::format::count;
use super::table::Table;
use crate::report::{About, ModelInfo};

/// Names of training settings and figures, in the order in which a table shows them; others follow by name.
const FIRST: [&str; 20] = [
    "loss",
    "soft_loss",
    "hard_weight",
    "soft_weight",
    "temperature",
    "epochs",
    "best_epoch",
    "batch_size",
    "learning_rate",
    "max_length",
    "seed",
    "dtype",
    "train_rows",
    "validation_rows",
    "validation",
    "init",
    "targets",
    "data",
    "distill",
    "libtorch",
];

/// The table; facts that no model has are left out.
pub fn table(about: &About) -> Table {
    let names = about.models.iter().map(|model| model.name.clone());
    let mut table = Table::new(["".to_owned()].into_iter().chain(names));
    let mut add = |title: &str, of: &dyn Fn(&ModelInfo) -> Option<String>| {
        let cells: Vec<Option<String>> = about.models.iter().map(of).collect();
        if cells.iter().any(Option::is_some) {
            let cells = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            table.push([title.to_owned()].into_iter().chain(cells));
        }
    };
    add("path", &|model| Some(model.path.clone()));
    add("hash", &|model| model.hash.as_deref().map(short));
    add("architecture", &|model| model.architecture.clone());
    add("layers", &|model| Some(model.layers?.to_string()));
    add("hidden size", &|model| Some(model.hidden_size?.to_string()));
    add("parameters", &|model| Some(count(model.parameters?)));
    add("max_length here", &|model| Some(model.max_length?.to_string()));
    add("trained by", &|model| model.trained_by.as_ref().map(|command| format!("distill {command}")));
    for name in training_names(about) {
        add(&format!("training: {name}"), &|model| model.training.get(name).map(shown));
    }
    table
}

/// The data sets.
pub fn data(about: &About) -> Table {
    let mut table = Table::new(["data", "path", "hash"]);
    for data in &about.data {
        let hash = data.hash.as_deref().map_or("-".to_owned(), short);
        table.push([data.name.clone(), data.path.clone(), hash]);
    }
    table
}

/// `distill 0.1.0, libtorch 2.11.0`.
pub fn versions(about: &About) -> String {
    about.versions.iter().map(|(name, version)| format!("{name} {version}")).collect::<Vec<_>>().join(", ")
}

fn training_names(about: &About) -> Vec<&str> {
    let mut names: Vec<&str> =
        about.models.iter().flat_map(|model| model.training.keys()).map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    names.sort_by_key(|name| place(name));
    names
}

/// A hash as far as people compare it.
fn short(hash: &str) -> String {
    const SHOWN: usize = 12;
    let is_hash = hash.len() > SHOWN && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { hash[..SHOWN].to_owned() } else { hash.to_owned() }
}

/// A setting as a settings file writes it.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => short(text),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() && value != 0.0 && value.abs() >= 0.01 => {
                super::format::number(value)
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn facts_that_no_model_has_are_left_out_and_settings_come_in_their_order() {
        let training = [("seed", json!(42)), ("temperature", json!(2.0)), ("data", json!("a".repeat(64)))];
        let student = ModelInfo {
            name: "student".to_owned(),
            path: "runs/s/model".to_owned(),
            layers: Some(3),
            training: training.map(|(name, value)| (name.to_owned(), value)).into(),
            ..ModelInfo::default()
        };
        let other = ModelInfo { name: "other".to_owned(), path: "o".to_owned(), ..ModelInfo::default() };
        let about = About { models: vec![student, other], ..About::default() };
        let table = table(&about);
        let titles: Vec<&str> = table.rows.iter().map(|row| row[0].text.as_str()).collect();
        let expected = ["path", "layers", "training: temperature", "training: seed", "training: data"];
        assert_eq!(titles, expected);
        assert_eq!([&table.rows[2][1].text, &table.rows[2][2].text], ["2", "-"]);
        assert_eq!(table.rows[4][1].text, "a".repeat(12));
    }
}
