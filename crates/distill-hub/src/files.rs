//! Which files of a model are read, and how large they may be.

use serde_json::Value;

/// The config: it makes a directory a model directory.
pub const CONFIG_FILE: &str = "config.json";
/// Weights in one file.
pub const WEIGHTS_FILE: &str = "model.safetensors";
/// The index: which of several files holds which weight.
pub const INDEX_FILE: &str = "model.safetensors.index.json";
/// Weights that are never read.
pub const PICKLED_FILE: &str = "pytorch_model.bin";
/// Further files, if a model has them.
pub const TOKENIZER_FILES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
];
/// Files that `tokenizer.json` replaces.
const OTHER_VOCABULARIES: [&str; 2] = ["vocab.json", "merges.txt"];

/// The largest config, index or tokenizer that their readers accept.
const MOST_BYTES: u64 = 64 << 20;
/// The largest file of weights whose size is announced: no model's single file is larger.
const MOST_WEIGHT_BYTES: u64 = 256 << 30;
/// The largest file of weights without an announced size.
const MOST_UNANNOUNCED_BYTES: u64 = 16 << 30;
/// Longest name of a file of weights.
const MOST_NAME_BYTES: usize = 128;

/// How many bytes a file may have, regardless of the announced size.
pub(crate) fn most_bytes(file: &str, is_announced: bool) -> u64 {
    match (file.ends_with(".safetensors"), is_announced) {
        (false, _) => MOST_BYTES,
        (true, true) => MOST_WEIGHT_BYTES,
        (true, false) => MOST_UNANNOUNCED_BYTES,
    }
}

/// The files to download from a repository. The config comes last: a snapshot with a config is complete.
///
/// # Errors
/// What the repository lacks.
pub(crate) fn wanted(has: impl Fn(&str) -> bool) -> Result<Vec<&'static str>, String> {
    let weights = match (has(WEIGHTS_FILE), has(INDEX_FILE)) {
        (true, _) => WEIGHTS_FILE,
        (false, true) => INDEX_FILE,
        _ if has(PICKLED_FILE) => {
            return Err(format!(
                "it has no {WEIGHTS_FILE}, and {PICKLED_FILE} is never unpickled; revision refs/pr/… often holds a conversion"
            ));
        }
        _ => return Err(format!("it has no {WEIGHTS_FILE}")),
    };
    if !has(CONFIG_FILE) {
        return Err(format!("it has no {CONFIG_FILE}"));
    }
    let is_read = |name: &&str| !OTHER_VOCABULARIES.contains(name) || !has("tokenizer.json");
    let tokenizer = TOKENIZER_FILES.into_iter().filter(|name| has(name) && is_read(name));
    Ok(tokenizer.chain([weights, CONFIG_FILE]).collect())
}

/// The file names in an index, sorted, without duplicates.
///
/// # Errors
/// If it is not an index, or names a file outside its directory.
pub fn indexed(index: &[u8]) -> Result<Vec<String>, String> {
    let json: Value = serde_json::from_slice(index).map_err(|error| error.to_string())?;
    let map = json.get("weight_map").and_then(Value::as_object).ok_or("no weight_map")?;
    let mut names: Vec<String> = map.values().filter_map(Value::as_str).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    if names.iter().any(|name| name.contains(['/', '\\'])) {
        return Err("weight_map names a file outside the directory".to_owned());
    }
    Ok(names)
}

/// Whether a name from an index may become a file in the cache: plain letters, digits, `-`, `_` and `.`, and the
/// extension of weights.
pub(crate) fn is_part_name(name: &str) -> bool {
    name.len() <= MOST_NAME_BYTES && name.ends_with(".safetensors") && is_word(name)
}

/// A word that is one plain part of a path.
pub(crate) fn is_word(word: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !word.is_empty() && word.chars().all(known) && !word.starts_with('.') && !word.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_read_is_fetched_and_the_config_last() {
        let of = |names: &'static [&str]| wanted(|name| names.contains(&name));
        let all = of(&[
            "README.md",
            "config.json",
            "model.safetensors",
            "onnx/model.onnx",
            "pytorch_model.bin",
            "tokenizer.json",
        ]);
        assert_eq!(all.unwrap(), ["tokenizer.json", "model.safetensors", "config.json"]);
        let parts = of(&["config.json", "model-00001-of-00002.safetensors", INDEX_FILE, "vocab.txt"]);
        assert_eq!(parts.unwrap(), ["vocab.txt", INDEX_FILE, "config.json"]);
        assert!(of(&["config.json", "pytorch_model.bin"]).unwrap_err().contains("never unpickled"));
        assert!(of(&["model.safetensors"]).unwrap_err().contains("config.json"));
    }

    #[test]
    fn a_part_must_have_the_plain_name_of_a_weights_file() {
        assert!(is_part_name("model-00001-of-00002.safetensors"));
        for bad in [
            "../model.safetensors",
            "..safetensors",
            ".safetensors",
            "a/b.safetensors",
            "a\\b.safetensors",
            "config.json",
            "a b.safetensors",
            "a\u{202e}.safetensors",
            &format!("{}.safetensors", "a".repeat(200)),
        ] {
            assert!(!is_part_name(bad), "{bad}");
        }
        assert!(indexed(br#"{"weight_map":{"a":"../b.safetensors"}}"#).unwrap_err().contains("outside"));
        assert_eq!(indexed(br#"{"weight_map":{"a":"2","b":"1","c":"2"}}"#).unwrap(), ["1", "2"]);
    }
}
