//! Windows over texts with answers against `transformers` (testdata made by `scripts/goldens/answer_windows.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distill_task::Span;
use serde::Deserialize;
use serde_json::Value;

use super::{AnswerWindow, Overlap, TextTokenizer, TokenError};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

/// Question, text, and the first character of each answer with the one after its last.
type Row = (String, String, Vec<(u32, u32)>);

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    tokenizer: String,
    files: BTreeMap<String, Value>,
    max_length: usize,
    stride: usize,
    rows: Vec<Vec<Window>>,
}

/// Ids, places of the text's tokens, and the tokens of each answer.
type Window = (Vec<u32>, Vec<Option<(usize, usize)>>, Vec<Option<(u32, u32)>>);

#[test]
fn windows_places_and_positions_equal_those_of_transformers() {
    let golden: Golden =
        serde_json::from_slice(&std::fs::read(testdata("answer_windows.json")).unwrap()).unwrap();
    assert!(golden.cases.len() > 20);
    let mut several = 0;
    for case in &golden.cases {
        let directory = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(testdata(&case.tokenizer)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
        }
        for (name, content) in &case.files {
            distill_core::atomic::write(&directory.path().join(name), content.to_string().as_bytes()).unwrap();
        }
        let tokenizer = TextTokenizer::load(directory.path(), case.max_length).unwrap();
        let rows: Vec<(&str, &str)> =
            golden.rows.iter().map(|(question, text, _)| (question.as_str(), text.as_str())).collect();
        let found = tokenizer.encode_answers_batch(&rows, Overlap::Exactly(case.stride)).unwrap();
        for (((question, _, answers), found), expected) in golden.rows.iter().zip(&found).zip(&case.rows) {
            let what = format!("{} {:?} {} {question:?}", case.tokenizer, case.files, case.max_length);
            assert_eq!(found.len(), expected.len(), "{what}");
            several += usize::from(found.len() > 1);
            for (window, (ids, offsets, positions)) in found.iter().zip(expected) {
                assert_eq!((&window.tokens.input_ids, &window.offsets), (ids, offsets), "{what}");
                let own: Vec<_> = answers
                    .iter()
                    .map(|(start, end)| window.positions(Span { start: *start, end: *end }))
                    .collect();
                assert_eq!(&own, positions, "{what}");
            }
        }
    }
    assert!(several > 20);
}

#[test]
fn a_question_that_leaves_no_room_is_refused_with_its_row() {
    let tokenizer = TextTokenizer::load(&testdata("tiny-bert"), 12).unwrap();
    let long = "what is the capital of france";
    let error =
        tokenizer.encode_answers_batch(&[("what", "is"), (long, "is")], Overlap::Exactly(3)).unwrap_err();
    assert!(matches!(error, TokenError::Encode { index: 1, .. }), "{error}");
    assert!(error.to_string().contains("its question has 6 tokens"), "{error}");
    let windows: Vec<Vec<AnswerWindow>> =
        tokenizer.encode_answers_batch(&[("what", "is")], Overlap::Exactly(3)).unwrap();
    assert_eq!(windows[0].len(), 1);
    assert_eq!(windows[0][0].positions(Span { start: 0, end: 2 }), Some((3, 3)));
    assert_eq!(windows[0][0].positions(Span { start: 0, end: 3 }), None);
}

#[test]
fn a_long_question_shares_fewer_tokens_between_windows_and_is_refused_only_without_any_room() {
    let text = "what is the capital of france";
    let windows = |max_length| {
        let tokenizer = TextTokenizer::load(&testdata("tiny-bert"), max_length).unwrap();
        tokenizer.encode_answers_batch(&[(text, text)], Overlap::AtMost(128))
    };
    // Six tokens of the question and three special ones leave room for four of the text: two new ones a window.
    let found = &windows(13).unwrap()[0];
    let tokens_of_the_text: Vec<usize> =
        found.iter().map(|window| window.offsets.iter().flatten().count()).collect();
    assert_eq!(tokens_of_the_text, [4, 4]);
    assert_eq!(windows(10).unwrap()[0].len(), 6);
    assert!(windows(9).unwrap_err().to_string().contains("a larger max_length is needed"));
}
