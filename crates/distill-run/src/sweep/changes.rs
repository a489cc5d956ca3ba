//! What a trial changes, and which stages the changes are of.

use distill_core::hash::bytes_hash;
use toml::Value;

/// Settings that a trial changes, in the order of their names.
pub type Changes = Vec<(String, Value)>;

/// The changes of a trial that decide what its student learns from.
pub fn upstream(changes: &Changes) -> Changes {
    changes.iter().filter(|(key, _)| !key.starts_with("student.")).cloned().collect()
}

/// Those that decide its teacher.
pub fn of_teacher(changes: &Changes) -> Changes {
    let decides =
        |key: &str| key.starts_with("pretrain.") || key.starts_with("finetune.") || key == "data.max_length";
    changes.iter().filter(|(key, _)| decides(key)).cloned().collect()
}

/// A directory name for these changes, independent of their position among the trials.
pub fn name_of(changes: &Changes) -> String {
    match changes.as_slice() {
        [] => "as-it-is".to_owned(),
        _ => bytes_hash(shown(changes).as_bytes())[..12].to_owned(),
    }
}

/// Changes in words: `student.temperature=2.0`.
pub fn shown(changes: &[(String, Value)]) -> String {
    if changes.is_empty() {
        return "the unchanged pipeline".to_owned();
    }
    let one = |(key, value): &(String, Value)| format!("{key}={value}");
    changes.iter().map(one).collect::<Vec<_>>().join(" ")
}
