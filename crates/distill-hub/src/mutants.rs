//! Damaged answers of a hub: each is refused or read, and no name in it becomes a path of another form.

use serde_json::json;

use crate::announced::Announced;
use crate::download::About;
use crate::files::{INDEX_FILE, indexed, is_part_name, wanted};
use crate::hash::is_commit;
use crate::mutate::{Random, mutant};
use crate::url::Url;

/// Mutants of each kind of answer.
const COUNT: u64 = 4_000;
const GIT: &str = "ce013625030ba8dba906f756967f9e9ca394464a";
const LFS: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
const DICTIONARY: [&str; 12] = [
    "../../evil",
    "\"..\"",
    "/etc/passwd",
    "\"sha256\":",
    "\"lfs\":{",
    "\u{0}",
    "\u{202e}",
    "null",
    "[",
    "}",
    ".safetensors",
    "18446744073709551616",
];

fn mutants(kind: &str, original: &str) -> impl Iterator<Item = Vec<u8>> {
    let original = original.as_bytes().to_vec();
    let kind = kind.to_owned();
    (0..COUNT).map(move |number| mutant(&mut Random::of(&kind, number), &original, &DICTIONARY))
}

fn is_checked(announced: &Announced) -> bool {
    announced.hash.as_ref().is_none_or(|hash| {
        let digits = hash.digits();
        matches!(digits.len(), 40 | 64) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

#[test]
fn damaged_answers_about_a_repository_are_refused_or_give_checked_names() {
    let file = |name: &str| json!({"rfilename": name, "blobId": GIT, "size": 6});
    let weights = json!({"rfilename": "model.safetensors", "blobId": GIT, "size": 6,
        "lfs": {"sha256": LFS, "size": 6, "pointerSize": 130}});
    let about = json!({"sha": GIT, "siblings": [file("config.json"), file("tokenizer.json"), weights]});
    let (mut read, mut refused) = (0, 0);
    for bytes in mutants("about", &about.to_string()) {
        let about = serde_json::from_slice(&bytes).map_err(|error| error.to_string());
        let Ok(about) = about.and_then(|json| About::read(&json)) else {
            refused += 1;
            continue;
        };
        assert!(is_commit(&about.commit), "{:?}", about.commit);
        let Ok(files) = wanted(|file| about.files.contains_key(file)) else {
            refused += 1;
            continue;
        };
        match files.into_iter().map(|file| about.announced(file)).collect::<Result<Vec<_>, _>>() {
            Ok(announced) => {
                assert!(announced.iter().all(is_checked), "{announced:?}");
                read += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[test]
fn damaged_headers_are_refused_or_give_checked_hashes() {
    let original =
        format!("x-linked-etag: \"{LFS}\"\nx-linked-size: 6\netag: W/\"{GIT}\"\nx-repo-commit: {GIT}\n");
    let (mut read, mut refused) = (0, 0);
    for bytes in mutants("headers", &original) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let header = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(": ")
        };
        match Announced::of_headers(header, true) {
            Ok(announced) => {
                assert!(is_checked(&announced), "{announced:?}");
                read += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[test]
fn damaged_indexes_name_files_of_weights_or_are_refused() {
    let index = json!({"metadata": {"total_size": 6}, "weight_map": {
        "a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}});
    let (mut read, mut refused) = (0, 0);
    for bytes in mutants(INDEX_FILE, &index.to_string()) {
        match indexed(&bytes) {
            Ok(names) if names.iter().all(|name| is_part_name(name)) => {
                let is_plain = |name: &String| !name.contains(['/', '\\', '\0']) && !name.starts_with('.');
                assert!(names.iter().all(is_plain), "{names:?}");
                read += 1;
            }
            _ => refused += 1,
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[test]
fn damaged_redirects_lead_to_http_or_nowhere() {
    let hub = Url::parse("https://hub.example/org/tiny/resolve/main/model.safetensors").unwrap();
    let (mut read, mut refused) = (0, 0);
    for bytes in mutants("location", "https://cdn.hub.example:8443/a/b?signature=x%2Fy&c=d#e") {
        match hub.join(&String::from_utf8_lossy(&bytes)) {
            Ok(url) => {
                let shown = url.to_string();
                let authority = shown.strip_prefix("https://").and_then(|rest| rest.split(['/', '?']).next());
                assert!(authority.is_some_and(|host| !host.contains('@')), "{url:?}");
                assert!(shown.chars().all(|c| c.is_ascii_graphic()), "{url:?}");
                read += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}
