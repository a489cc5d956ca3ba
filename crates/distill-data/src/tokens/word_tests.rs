//! Rows of words: ids and first sub-words against `transformers` (testdata made by `scripts/goldens/words.py`), windows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use super::{TextTokenizer, TokenError, WordWindow, WordsFor};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Vec<String>>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    tokenizer: String,
    files: BTreeMap<String, Value>,
    fresh: bool,
    /// Ids of each row, and the number of each id's word; -1 of special tokens.
    rows: Vec<(Vec<u32>, Vec<i64>)>,
}

fn laid(case: &Case) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(testdata(&case.tokenizer)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
    }
    for (name, content) in &case.files {
        distill_core::atomic::write(&directory.path().join(name), content.to_string().as_bytes()).unwrap();
    }
    directory
}

fn encode(tokenizer: &TextTokenizer, rows: &[Vec<String>], overlap: usize) -> Vec<Vec<WordWindow>> {
    let rows: Vec<&[String]> = rows.iter().map(Vec::as_slice).collect();
    tokenizer.encode_words_batch(&rows, overlap).unwrap()
}

#[test]
fn ids_and_first_sub_words_equal_those_of_transformers() {
    let golden: Golden = serde_json::from_slice(&std::fs::read(testdata("words.json")).unwrap()).unwrap();
    assert!(golden.cases.len() > 15);
    for case in &golden.cases {
        let directory = laid(case);
        let model = if case.fresh { WordsFor::FreshHead } else { WordsFor::TrainedHead };
        let load = |path: &Path| TextTokenizer::load(path, 512).unwrap().for_words(model).unwrap();
        let (tokenizer, _) = load(directory.path());
        // What is written needs no setting any more, and is known to be the same.
        let written = tempfile::tempdir().unwrap();
        tokenizer.save_to(written.path(), true).unwrap();
        let (saved, changed) = load(written.path());
        assert!(!changed && saved.hash() == tokenizer.hash(), "{}", case.tokenizer);
        for tokenizer in [&tokenizer, &saved] {
            let found = encode(tokenizer, &golden.rows, 0);
            for ((words, windows), (ids, numbers)) in golden.rows.iter().zip(found).zip(&case.rows) {
                let what = format!("{} {:?} {} {words:?}", case.tokenizer, case.files, case.fresh);
                let [window] = windows.as_slice() else { panic!("{what}: {} windows", windows.len()) };
                assert_eq!(&window.tokens.input_ids, ids, "{what}");
                let first = |word: i64| numbers.iter().position(|number| *number == word).map(|at| at as u32);
                let expected: Vec<Option<u32>> = (0..words.len() as i64).map(first).collect();
                assert_eq!((window.words.clone(), &window.positions), (0..words.len(), &expected), "{what}");
            }
        }
    }
}

fn tiny(max_length: usize) -> TextTokenizer {
    TextTokenizer::load(&testdata("tiny-bert"), max_length).unwrap()
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The ids of a row's words without special tokens, and where each word begins and ends in them.
fn flat(tokenizer: &TextTokenizer, row: &[String]) -> (Vec<u32>, Vec<(usize, usize)>) {
    let mut ids = Vec::new();
    let mut borders = Vec::new();
    for word in row {
        let found = encode(tokenizer, &[vec![word.clone()]], 0).remove(0).remove(0).tokens.input_ids;
        let own = &found[1..found.len() - 1];
        borders.push((ids.len(), ids.len() + own.len()));
        ids.extend_from_slice(own);
    }
    (ids, borders)
}

/// Every word is predicted once, from a window that holds it whole and has as much context as any.
#[test]
fn windows_cover_each_word_once_with_the_most_context() {
    let texts = [
        "what is the capital of france and how far is it from it to the capital ".repeat(4),
        "what attack denver aspen capital x".repeat(7),
        "a \u{200b} what \u{200b} \u{200b} is ".repeat(9),
        "what".to_owned(),
    ];
    for text in &texts {
        let row = words(text.trim());
        let (ids, borders) = flat(&tiny(512), &row);
        for (max_length, overlap) in [(8, 0), (8, 2), (9, 100), (16, 4), (17, 7), (40, 10), (512, 4)] {
            let what = format!("{max_length} {overlap} {text}");
            let windows = encode(&tiny(max_length), std::slice::from_ref(&row), overlap).remove(0);
            let room = max_length - 2;
            let mut next = 0;
            let mut starts = Vec::new();
            for window in &windows {
                assert_eq!(window.words.start, next, "{what}");
                assert!(!window.words.is_empty(), "{what}");
                next = window.words.end;
                let inner = &window.tokens.input_ids[1..window.tokens.input_ids.len() - 1];
                assert!(inner.len() <= room && !window.tokens.truncated, "{what}");
                let (word, place) = window.predicted().next().unwrap();
                starts.push(borders[word].0 + 1 - place as usize);
                assert_eq!(inner, &ids[starts[starts.len() - 1]..][..inner.len()], "{what}");
                for ((word, border), place) in
                    (window.words.clone()).zip(&borders[window.words.clone()]).zip(&window.positions)
                {
                    let expected =
                        (border.1 > border.0).then(|| (border.0 - starts[starts.len() - 1] + 1) as u32);
                    assert_eq!(*place, expected, "{what}: word {word}");
                    assert!(border.1 <= starts[starts.len() - 1] + inner.len(), "{what}: cut word {word}");
                }
            }
            assert_eq!(next, row.len(), "{what}");
            assert_eq!(windows.len() == 1, ids.len() <= room, "{what}");
            // No other window has more context on the poorer side.
            let reach: Vec<(usize, usize)> = starts
                .iter()
                .zip(&windows)
                .map(|(start, window)| (*start, start + window.tokens.input_ids.len() - 2))
                .collect();
            let context = |(start, end): (usize, usize), (first, last): (usize, usize)| {
                let holds = start <= first && last <= end;
                let left = if start == 0 { usize::MAX } else { first.saturating_sub(start) };
                let right = if end == ids.len() { usize::MAX } else { end.saturating_sub(last) };
                holds.then(|| left.min(right))
            };
            for (own, window) in windows.iter().enumerate() {
                for (word, _) in window.predicted() {
                    let most = reach.iter().filter_map(|reach| context(*reach, borders[word])).max();
                    assert_eq!(context(reach[own], borders[word]), most, "{what}: word {word}");
                }
            }
        }
    }
}

#[test]
fn a_word_with_more_sub_words_than_room_keeps_its_first() {
    let row = words(&format!("what {} is", "ab".repeat(20)));
    let windows = encode(&tiny(8), &[row], 2).remove(0);
    let cut: Vec<&WordWindow> = windows.iter().filter(|window| window.tokens.truncated).collect();
    assert_eq!(cut.len(), 1);
    assert_eq!((cut[0].words.clone(), cut[0].positions.as_slice()), (1..2, &[Some(1)][..]));
    assert_eq!(cut[0].tokens.input_ids.len(), 8);
    assert_eq!(windows.iter().map(|window| window.words.len()).sum::<usize>(), 3);
}

#[test]
fn no_words_are_one_window_and_no_room_is_an_error() {
    let windows = encode(&tiny(8), &[vec![]], 0).remove(0);
    assert_eq!((windows.len(), windows[0].words.clone(), windows[0].tokens.input_ids.len()), (1, 0..0, 2));
    let row = words("what");
    let error = tiny(2).encode_words_batch(&[row.as_slice()], 0).unwrap_err();
    assert!(matches!(error, TokenError::MaxLength { max_length: 2, special: 2, pair: false }));
}

/// A changed pre-tokenizer is another tokenizer: nothing that was tokenized without it may be used with it.
#[test]
fn a_space_in_front_of_words_changes_the_hash_and_is_said() {
    let load = || TextTokenizer::load(&testdata("tiny-byte-level"), 32).unwrap();
    let (fresh, changed) = load().for_words(WordsFor::FreshHead).unwrap();
    assert!(changed && fresh.hash() != load().hash());
    let (trained, changed) = load().for_words(WordsFor::TrainedHead).unwrap();
    assert!(!changed && trained.hash() == load().hash());
    let (bert, changed) = tiny(8).for_words(WordsFor::FreshHead).unwrap();
    assert!(!changed && bert.hash() == tiny(8).hash());
}
