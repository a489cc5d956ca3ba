use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::TextTokenizer;

const KINDS: [VocabularyKind; 3] = [VocabularyKind::WordPiece, VocabularyKind::Unigram, VocabularyKind::Bpe];

/// Some pages of English, and a line of other scripts.
fn texts() -> Vec<String> {
    let page = include_str!("../../../../../docs/architecture.md").lines();
    let lines = page.filter(|line| !line.trim().is_empty());
    lines.chain(["Größe naïve 漢字かな 漢字 Ελλάδα"]).map(str::to_owned).collect()
}

fn settings(kind: VocabularyKind, size: usize) -> TokenizerSettings {
    TokenizerSettings { kind: Some(kind), size, ..TokenizerSettings::default() }
}

fn train(settings: &TokenizerSettings, texts: &[String]) -> Result<TrainedTokenizer, TrainingError> {
    let mut trainer = TokenizerTrainer::new(settings)?;
    texts.chunks(50).try_for_each(|texts| trainer.count(texts))?;
    trainer.train()
}

fn saved(settings: &TokenizerSettings, texts: &[String]) -> (TempDir, TextTokenizer) {
    let directory = tempfile::tempdir().unwrap();
    train(settings, texts).unwrap().save_to(directory.path()).unwrap();
    let tokenizer = TextTokenizer::load(directory.path(), 64).unwrap();
    (directory, tokenizer)
}

fn bytes(directory: &Path) -> Vec<Vec<u8>> {
    TrainedTokenizer::FILES.iter().map(|name| std::fs::read(directory.join(name)).unwrap()).collect()
}

#[test]
fn a_trained_tokenizer_has_its_size_its_special_tokens_and_no_unknown_text() {
    for kind in KINDS {
        let texts = texts();
        let (_directory, tokenizer) = saved(&settings(kind, 900), &texts);
        assert_eq!(tokenizer.vocab_size(), 900, "{kind:?}");
        for (id, (token, _)) in recipe::special_tokens(kind).into_iter().enumerate() {
            assert_eq!(tokenizer.tokenizer.token_to_id(token), Some(id as u32), "{kind:?}");
        }
        let unknown =
            tokenizer.tokenizer.token_to_id(if kind == KINDS[0] { "[UNK]" } else { "<unk>" }).unwrap();
        let rows: Vec<(&str, Option<&str>)> = texts.iter().map(|text| (text.as_str(), None)).collect();
        let encoded = tokenizer.encode_batch(&rows).unwrap();
        let lost: Vec<_> =
            encoded.iter().zip(&texts).filter(|(row, _)| row.input_ids.contains(&unknown)).collect();
        assert!(lost.is_empty(), "{kind:?}: {lost:?}");
        // Merged tokens are used: fewer tokens than characters.
        let row = &tokenizer.encode_batch(&[("the teacher and the student", None)]).unwrap()[0];
        assert!(row.input_ids.len() < 14, "{kind:?}: {row:?}");
        let pair = &tokenizer.encode_batch(&[("the", Some("the"))]).unwrap()[0];
        let types = match kind {
            VocabularyKind::WordPiece => vec![0, 0, 0, 1, 1],
            _ => vec![0; pair.input_ids.len()],
        };
        assert_eq!(pair.token_type_ids, types, "{kind:?}");
    }
}

#[test]
fn the_same_texts_give_the_same_bytes() {
    let texts = texts();
    for kind in KINDS {
        let settings = settings(kind, 700);
        let (first, _) = saved(&settings, &texts);
        for _ in 0..3 {
            let (again, _) = saved(&settings, &texts);
            assert!(bytes(first.path()) == bytes(again.path()), "{kind:?}");
        }
    }
}

#[test]
fn small_letters_are_made_by_default_for_word_pieces_alone() {
    let texts = vec!["Aa bB Cc aa bb cc".to_owned(); 5];
    for (kind, default) in KINDS.into_iter().zip([true, false, false]) {
        for lowercase in [None, Some(true), Some(false)] {
            let (_directory, tokenizer) =
                saved(&TokenizerSettings { lowercase, ..settings(kind, 300) }, &texts);
            let ids = |text: &str| tokenizer.encode_batch(&[(text, None)]).unwrap().remove(0).input_ids;
            assert_eq!(ids("Aa bB") == ids("aa bb"), lowercase.unwrap_or(default), "{kind:?} {lowercase:?}");
        }
    }
}

#[test]
fn what_occurs_too_rarely_is_not_merged() {
    let texts = vec!["often often often seldom".to_owned(); 3];
    for kind in [VocabularyKind::WordPiece, VocabularyKind::Bpe] {
        let settings = TokenizerSettings { min_frequency: 5, ..settings(kind, 500) };
        let (_directory, tokenizer) = saved(&settings, &texts);
        let ids = |text: &str| tokenizer.encode_batch(&[(text, None)]).unwrap().remove(0).input_ids;
        assert_eq!(ids(" often").len(), 3, "{kind:?}");
        assert!(ids(" seldom").len() > 5, "{kind:?}");
    }
}

#[test]
fn a_vocabulary_without_room_for_its_alphabet_is_refused_and_rare_characters_may_be_left_out() {
    let mut texts = vec!["common words in common letters".to_owned(); 20];
    texts.push("漢字 ΕΛΛΑΔΑ".to_owned());
    for kind in [VocabularyKind::WordPiece, VocabularyKind::Unigram] {
        let error = train(&settings(kind, 20), &texts).unwrap_err().to_string();
        assert!(error.contains("tokenizer.size is 20") && error.contains("--limit-alphabet"), "{error}");
        let limited = TokenizerSettings { limit_alphabet: Some(12), ..settings(kind, 40) };
        let (_directory, tokenizer) = saved(&limited, &texts);
        let unknown = tokenizer.unknown_token().unwrap();
        let row = tokenizer.encode_batch(&[("common 漢字", None)]).unwrap().remove(0).input_ids;
        assert!(row.contains(&unknown), "{kind:?}: {row:?}");
    }
    let error = train(&settings(VocabularyKind::Bpe, 260), &texts).unwrap_err().to_string();
    assert!(error.contains("at least 261 tokens: 5 special tokens and 256 bytes"), "{error}");
    let limited = TokenizerSettings { limit_alphabet: Some(9), ..settings(VocabularyKind::Bpe, 300) };
    assert!(train(&limited, &texts).unwrap_err().to_string().contains("no meaning for bpe"));
}

#[test]
fn texts_without_words_are_refused_before_any_training() {
    for kind in KINDS {
        let error = train(&settings(kind, 300), &[" \t".to_owned(), String::new()]).unwrap_err();
        assert!(matches!(error, TrainingError::NoWords), "{kind:?}: {error}");
    }
    assert!(TokenizerTrainer::new(&TokenizerSettings::default()).is_err());
}

/// Text that spells a special token must not become it.
#[test]
fn special_tokens_in_the_texts_do_not_become_tokens_of_their_own() {
    let texts = vec!["<s> </s> <mask> [MASK] [ MASK ] < s > x<unk>".to_owned(); 50];
    for kind in KINDS {
        let (_directory, tokenizer) = saved(&settings(kind, 300), &texts);
        let vocabulary = tokenizer.tokenizer.get_vocab(true);
        for (id, (token, _)) in recipe::special_tokens(kind).into_iter().enumerate() {
            assert_eq!(vocabulary[token], id as u32, "{kind:?}");
        }
        assert_eq!(vocabulary.len(), tokenizer.max_token_id() as usize + 1, "{kind:?}: no id is missing");
    }
}

/// The committed tokenizers were trained by the program, and their ids come from `transformers`
/// (`scripts/goldens/trained_tokenizers.py`).
#[test]
fn trained_tokenizers_are_the_committed_ones_and_give_the_ids_of_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/trained");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let corpus = read(&folder.join("corpus.txt"));
    let texts: Vec<String> = corpus.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let golden: Value = serde_json::from_str(&read(&folder.join("golden.json"))).unwrap();
    for (kind, name, size) in [
        (VocabularyKind::WordPiece, "wordpiece", 310),
        (VocabularyKind::Unigram, "unigram", 300),
        (VocabularyKind::Bpe, "bpe", 500),
    ] {
        let (directory, _) = saved(&settings(kind, size), &texts);
        if kind == VocabularyKind::Unigram {
            same_pieces(directory.path(), &folder.join(name));
        } else {
            assert!(bytes(directory.path()) == bytes(&folder.join(name)), "{name}");
        }
        let tokenizer = TextTokenizer::load(&folder.join(name), 64).unwrap();
        for row in golden[name].as_array().unwrap() {
            let encoded =
                &tokenizer.encode_batch(&[(row["text"].as_str().unwrap(), row["pair"].as_str())]).unwrap()[0];
            assert_eq!(serde_json::json!(encoded.input_ids), row["input_ids"], "{name}: {row}");
            if let Some(types) = row.get("token_type_ids") {
                assert_eq!(serde_json::json!(encoded.token_type_ids), *types, "{name}: {row}");
            }
        }
    }
}

/// Logarithms may differ in their last digits between machines.
fn same_pieces(left: &Path, right: &Path) {
    let read = |path: &Path| -> Value {
        serde_json::from_slice(&std::fs::read(path.join("tokenizer.json")).unwrap()).unwrap()
    };
    let (left, right) = (read(left), read(right));
    let pieces = |of: &Value| of["model"]["vocab"].as_array().unwrap().clone();
    assert_eq!(pieces(&left).len(), pieces(&right).len());
    for (left, right) in pieces(&left).iter().zip(pieces(&right)) {
        assert_eq!(left[0], right[0]);
        assert!((left[1].as_f64().unwrap() - right[1].as_f64().unwrap()).abs() < 1e-9, "{left} {right}");
    }
}
