//! Every setting that changes ids against `AutoTokenizer` (testdata made by `scripts/goldens/tokenizer_settings.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{TextTokenizer, TokenError, Tokens};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[derive(Deserialize)]
struct Golden {
    texts: Vec<String>,
    pairs: Vec<(String, String)>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    tokenizer: String,
    #[serde(default)]
    files: BTreeMap<String, Value>,
    #[serde(default)]
    change: BTreeMap<String, Value>,
    #[serde(default)]
    without: Vec<String>,
    max_length: usize,
    /// Ids of each row, and how many of them are of type 0; none where transformers gives none.
    rows: Option<Vec<(Vec<u32>, usize)>>,
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    distill_core::atomic::write(path, content.as_ref()).unwrap();
}

fn lay(case: &Case, directory: &Path) {
    for entry in std::fs::read_dir(testdata(&case.tokenizer)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name != "tokenizer_config.json" {
            std::fs::copy(&path, directory.join(name)).unwrap();
        }
    }
    let original = directory.join("tokenizer.json");
    if original.exists() {
        let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&original).unwrap()).unwrap();
        for (key, value) in &case.change {
            *tokenizer.pointer_mut(&format!("/{}", key.replace('.', "/"))).unwrap() = value.clone();
        }
        write(&original, tokenizer.to_string());
        if case.without.iter().any(|name| name == "tokenizer.json") {
            std::fs::remove_file(&original).unwrap();
            write(&directory.join("vocab.json"), tokenizer["model"]["vocab"].to_string());
            let merges = tokenizer["model"]["merges"].as_array().unwrap().iter();
            let merges =
                merges.map(|pair| format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
            write(&directory.join("merges.txt"), format!("#version: 0.2\n{}", merges.collect::<String>()));
        }
    }
    for (name, content) in &case.files {
        write(&directory.join(name), content.to_string());
    }
}

#[test]
fn settings_are_applied_as_transformers_applies_them() {
    let golden: Golden = serde_json::from_slice(&std::fs::read(testdata("settings.json")).unwrap()).unwrap();
    assert!(golden.cases.len() > 90);
    let singles = golden.texts.iter().map(|text| (text.as_str(), None));
    let pairs = golden.pairs.iter().map(|(text, pair)| (text.as_str(), Some(pair.as_str())));
    let rows: Vec<(&str, Option<&str>)> = singles.chain(pairs).collect();
    let mut wrong = Vec::new();
    for case in &golden.cases {
        let what = format!("{} {} {}", case.tokenizer, json!(case.files), json!(case.change));
        let directory = tempfile::tempdir().unwrap();
        lay(case, directory.path());
        let loaded = TextTokenizer::load(directory.path(), case.max_length);
        let (tokenizer, expected) = match (loaded, &case.rows) {
            (Ok(tokenizer), Some(expected)) => (tokenizer, expected),
            (Err(TokenError::Invalid { .. }), None) => continue,
            (loaded, _) => {
                wrong.push(format!("{what}: {:?}", loaded.map(|tokenizer| tokenizer.hash().to_owned())));
                continue;
            }
        };
        // What is written is the same tokenizer, whatever class read it, and known to be the same.
        let saved = tempfile::tempdir().unwrap();
        tokenizer.save_to(saved.path(), true).unwrap();
        let saved = TextTokenizer::load(saved.path(), case.max_length).unwrap();
        if saved.hash() != tokenizer.hash() {
            wrong.push(format!("{what}: the written one has another hash"));
        }
        for (tokenizer, name) in [(&tokenizer, "read"), (&saved, "written")] {
            let found = tokenizer.encode_batch(&rows).unwrap();
            for ((row, found), (ids, zeros)) in rows.iter().zip(found).zip(expected) {
                let Tokens { input_ids, token_type_ids, .. } = found;
                let types: Vec<u8> = (0..ids.len()).map(|place| u8::from(place >= *zeros)).collect();
                if input_ids != *ids || token_type_ids != types {
                    wrong.push(format!(
                        "{what}: {name} {row:?}: {input_ids:?} {token_type_ids:?}, not {ids:?} {zeros}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// An error about added tokens names the file that has them.
#[test]
fn too_long_added_tokens_are_refused_with_the_name_of_their_file() {
    let long = "x".repeat(42_000);
    let token = json!({"id": 90, "content": long, "special": false});
    for (file, content) in [
        ("added_tokens.json", json!({ &long: 90 })),
        ("tokenizer_config.json", json!({"added_tokens_decoder": {"90": token}})),
    ] {
        let directory = tempfile::tempdir().unwrap();
        write(&directory.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nwhat\n");
        TextTokenizer::load(directory.path(), 8).unwrap();
        write(&directory.path().join(file), content.to_string());
        let error = TextTokenizer::load(directory.path(), 8).unwrap_err().to_string();
        assert!(error.contains(&format!("{file} is not")) && error.contains("42000 bytes"), "{error}");
    }
}

#[test]
fn a_wrong_line_of_merges_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let vocabulary = r#"{"<s>": 0, "</s>": 1, "<unk>": 2, "<pad>": 3, "<mask>": 4, "w": 5, "h": 6, "wh": 7}"#;
    write(&directory.path().join("vocab.json"), vocabulary);
    let path = directory.path().join("merges.txt");
    write(&path, "#version: 0.2\nw h\n");
    TextTokenizer::load(directory.path(), 8).unwrap();
    for (lines, problem) in [
        (&b"#version: 0.2\nw h\nw  h\n"[..], "line 3 is not two tokens"),
        (b"w h\nh w\n", "line 2: vocab.json has no token \"hw\""),
        (b"w x\n", "line 1: vocab.json has no token \"x\""),
        (b"w h\n\xff", "not UTF-8 at byte 4"),
    ] {
        write(&path, lines);
        let error = TextTokenizer::load(directory.path(), 8).unwrap_err().to_string();
        assert!(error.contains("merges.txt is not") && error.contains(problem), "{error}");
    }
}
