//! Ids against `transformers` (testdata made by `scripts/goldens/tokens.py`), bounded work, bad files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use distill_core::Category;
use serde::Deserialize;
use serde_json::Value;

use super::encode::Splitting;
use super::{TextTokenizer, TokenError, Tokens};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn tiny(max_length: usize) -> TextTokenizer {
    TextTokenizer::load(&testdata("tiny-bert"), max_length).unwrap()
}

fn one(tokenizer: &TextTokenizer, text: &str, pair: Option<&str>) -> Tokens {
    tokenizer.encode_batch(&[(text, pair)]).unwrap().remove(0)
}

/// The same without any cut: what a cut text must equal.
fn uncut(mut tokenizer: TextTokenizer) -> TextTokenizer {
    tokenizer.splitting = Splitting::Unknown;
    tokenizer
}

#[derive(Deserialize)]
struct Case {
    tokenizer: String,
    config: Option<Value>,
    max_length: usize,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    pair: Option<String>,
    input_ids: Vec<u32>,
    token_type_ids: Vec<u8>,
}

#[test]
fn ids_equal_those_of_transformers() {
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(testdata("tokens.json")).unwrap()).unwrap();
    assert!(cases.len() > 20);
    for case in cases {
        let directory = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(testdata(&case.tokenizer)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
        if let Some(config) = &case.config {
            let path = directory.path().join("tokenizer_config.json");
            distill_core::atomic::write(&path, config.to_string().as_bytes()).unwrap();
        }
        let tokenizer = TextTokenizer::load(directory.path(), case.max_length).unwrap();
        // What is saved must be the same tokenizer, also where tokenizer.json had to be made.
        let saved = tempfile::tempdir().unwrap();
        tokenizer.save_to(saved.path(), true).unwrap();
        assert!(saved.path().join("tokenizer.json").exists());
        let saved = TextTokenizer::load(saved.path(), case.max_length).unwrap();
        for row in &case.rows {
            let what = (&case.tokenizer, &case.config, case.max_length, &row.text, &row.pair);
            for tokenizer in [&tokenizer, &saved] {
                if case.max_length < tokenizer.special_tokens(row.pair.is_some()) {
                    let refused = tokenizer.encode_batch(&[(&row.text, row.pair.as_deref())]);
                    assert!(matches!(refused, Err(TokenError::MaxLength { pair: true, .. })), "{what:?}");
                    continue;
                }
                let found = one(tokenizer, &row.text, row.pair.as_deref());
                assert_eq!(found.input_ids, row.input_ids, "{what:?}");
                assert_eq!(found.token_type_ids, row.token_type_ids, "{what:?}");
            }
        }
    }
}

#[test]
fn truncated_is_said_of_rows_that_lost_tokens_and_of_no_other() {
    let tokenizer = tiny(5);
    assert!(!one(&tokenizer, "what is the", None).truncated);
    assert!(one(&tokenizer, "what is the what", None).truncated);
    assert!(!one(&tokenizer, "what", Some("is")).truncated);
    assert!(one(&tokenizer, "what", Some("is the")).truncated);
    assert!(one(&tokenizer, &"what ".repeat(10_000), None).truncated);
    assert!(!one(&tokenizer, &" ".repeat(10_000), None).truncated);
}

/// Long texts that have few tokens in their first kilobytes, or none of the places where texts are cut.
fn long_texts() -> Vec<String> {
    let mark = "[MASK]".repeat(40);
    vec![
        "what is the capital of France? ".repeat(120),
        "x".repeat(6_000),
        format!("{} what is", "x".repeat(6_000)),
        format!("{}what is", " \n".repeat(3_000)),
        format!("{} the", format!("{} ", "y".repeat(120)).repeat(45)),
        format!("{} the", format!("{} ", "a".repeat(99)).repeat(45)),
        "巴黎是法国的首都中文字".repeat(150),
        "\u{20000}\u{3400}文".repeat(250),
        "!?.,".repeat(300),
        mark.repeat(20),
        format!("what {mark} is").repeat(20),
        "e\u{301} e \u{301}what\u{a0}is\u{2003}the ".repeat(150),
        "don't  stop  <mask>   'what  \n\n  is".repeat(120),
        "a\u{0}\u{fffd}b\u{200d}c ".repeat(300),
    ]
}

/// Protects the promise of `encode.rs`: cutting a text first never changes an id.
#[test]
fn cut_texts_have_the_ids_of_whole_texts() {
    for name in ["tiny-bert", "tiny-byte-level"] {
        for max_length in [5, 32, 33, 200] {
            let load = || TextTokenizer::load(&testdata(name), max_length).unwrap();
            let (cut, whole) = (load(), uncut(load()));
            assert_ne!(cut.splitting, Splitting::Unknown, "{name}");
            let texts = long_texts();
            for (index, text) in texts.iter().enumerate() {
                let pair = &texts[(index * 5 + 3) % texts.len()];
                assert_eq!(one(&cut, text, None), one(&whole, text, None), "{name} {max_length} {index}");
                for (a, b) in [(text, pair), (pair, text), (text, text)] {
                    let rows = [(a.as_str(), Some(b.as_str())), (a, Some("what is")), ("what is", Some(b))];
                    assert_eq!(
                        cut.encode_batch(&rows).unwrap(),
                        whole.encode_batch(&rows).unwrap(),
                        "{name} {max_length} {index}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_cut_lies_on_a_border_between_words() {
    assert_eq!(Splitting::Spaces.cut("ab  cd", 1), Some(2));
    assert_eq!(Splitting::Spaces.cut("ab  cd", 3), None);
    assert_eq!(Splitting::Spaces.cut("éé é", 1), Some(4));
    assert_eq!(Splitting::Spaces.cut("ab,cd", 0), None);
    assert_eq!(Splitting::Punctuation.cut("ab,cd", 1), Some(2));
    assert_eq!(Splitting::Ideographs.cut("ab文字", 3), Some(5));
    assert_eq!(Splitting::Unknown.cut("ab cd", 1), None);
}

/// A megabyte in one field is a mistake in someone's data, and must cost no more than a long row.
#[test]
fn a_megabyte_costs_no_more_than_a_long_row() {
    let tokenizer = tiny(128);
    let texts = ["what is the ".repeat(90_000), "文".repeat(350_000), "x".repeat(1 << 20), "!".repeat(1 << 20)];
    let start = Instant::now();
    for text in &texts {
        assert!(one(&tokenizer, text, Some("what is the")).input_ids.len() <= 128);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn a_batch_keeps_its_order_in_a_pool_of_any_size() {
    let tokenizer = tiny(16);
    let texts: Vec<String> = (0..300).map(|row| "what ".repeat(row % 13)).collect();
    let rows: Vec<(&str, Option<&str>)> = texts.iter().map(|text| (text.as_str(), None)).collect();
    let alone: Vec<Tokens> = rows.iter().map(|(text, _)| one(&tokenizer, text, None)).collect();
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| tokenizer.encode_batch(&rows)).unwrap(), alone);
    }
}

#[test]
fn the_vocabulary_is_counted_and_the_hash_follows_what_changes_ids() {
    let tokenizer = tiny(8);
    let lines = std::fs::read_to_string(testdata("tiny-bert/vocab.txt")).unwrap().lines().count();
    assert_eq!((tokenizer.vocab_size(), tokenizer.max_token_id() as usize), (lines, lines - 1));
    assert_eq!((tokenizer.special_tokens(false), tokenizer.special_tokens(true)), (2, 3));
    assert_eq!(tokenizer.hash(), tiny(64).hash());
    let saved = tempfile::tempdir().unwrap();
    tokenizer.save_to(saved.path(), true).unwrap();
    let written = std::fs::read(saved.path().join("tokenizer.json")).unwrap();
    assert_eq!(tokenizer.hash(), distill_core::hash::bytes_hash(&written));
    let bytes = std::fs::read(testdata("tiny-bert/vocab.txt")).unwrap();
    let cased = directory(&[("vocab.txt", &bytes), ("tokenizer_config.json", br#"{"do_lower_case":false}"#)]);
    assert_ne!(TextTokenizer::load(cased.path(), 8).unwrap().hash(), tokenizer.hash());
}

fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        distill_core::atomic::write(&directory.path().join(name), bytes).unwrap();
    }
    directory
}

/// The error and its category for a directory of these files.
fn refused(files: &[(&str, &[u8])], max_length: usize) -> (String, Category) {
    let directory = directory(files);
    let error = TextTokenizer::load(directory.path(), max_length).unwrap_err();
    (error.to_string(), error.category())
}

#[test]
fn files_that_are_no_tokenizer_are_named_with_what_is_wrong() {
    let vocab: &[u8] = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\nwhat\n";
    let says = |(text, category): (String, Category), words: &[&str], expected| {
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert_eq!(category, expected, "{text}");
    };
    says(refused(&[], 8), &["neither tokenizer.json nor vocab.txt"], Category::Usage);
    says(refused(&[("tokenizer.json", b"not json")], 8), &["tokenizer.json", "line 1"], Category::Data);
    says(refused(&[("tokenizer.json", b"")], 8), &["tokenizer.json"], Category::Data);
    says(refused(&[("tokenizer.json", b"{}")], 8), &["tokenizer.json"], Category::Data);
    says(refused(&[("vocab.txt", b"[UNK]\n\xff\n")], 8), &["vocab.txt", "not UTF-8 at byte 6"], Category::Data);
    says(refused(&[("vocab.txt", b"[UNK]\n[SEP]\n")], 8), &["vocab.txt", "[CLS]"], Category::Data);
    says(refused(&[("vocab.txt", b"")], 8), &["vocab.txt", "[UNK]"], Category::Data);
    let config = ("tokenizer_config.json", &b"[1]"[..]);
    says(refused(&[("vocab.txt", vocab), config], 8), &["tokenizer_config.json", "object"], Category::Data);
    let config = ("tokenizer_config.json", &b"{"[..]);
    says(refused(&[("vocab.txt", vocab), config], 8), &["tokenizer_config.json"], Category::Data);
    says(refused(&[("vocab.txt", vocab)], 1), &["max_length is 1", "need 2"], Category::Usage);
    let missing = TextTokenizer::load(Path::new("/nonexistent"), 8).unwrap_err();
    assert!(missing.to_string().contains("/nonexistent"), "{missing}");
}

/// A tokenizer.json from outside with single bytes changed: an error or a tokenizer, never a panic.
#[test]
fn a_changed_tokenizer_file_never_panics() {
    let original = std::fs::read(testdata("tiny-byte-level/tokenizer.json")).unwrap();
    let mut state = 1_u64;
    for _ in 0..120 {
        let mut bytes = original.clone();
        for _ in 0..3 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = b"0\"{}[],:9ax"[(state >> 20) as usize % 11];
        }
        let directory = directory(&[("tokenizer.json", &bytes)]);
        if let Ok(tokenizer) = TextTokenizer::load(directory.path(), 8) {
            let rows = [("what is the", None), ("it's 文 <mask>", Some("far"))];
            match tokenizer.encode_batch(&rows) {
                Ok(tokens) => assert_eq!(tokens.len(), 2),
                Err(error) => assert_ne!(error.to_string(), ""),
            }
        }
    }
}
