//! The examples do what they say, one after the other, on the golden model and rows that are made up here.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, missing_docs, reason = "tests may fail")]

#[path = "../examples/distill.rs"]
#[allow(dead_code, reason = "the example's main is not called")]
mod distill;
#[path = "../examples/finetune.rs"]
#[allow(dead_code, reason = "the example's main is not called")]
mod finetune;
#[path = "../examples/predict.rs"]
#[allow(dead_code, reason = "the example's main is not called")]
mod predict;
#[path = "../examples/report.rs"]
#[allow(dead_code, reason = "the example's main is not called")]
mod report;

use std::fs;
use std::path::Path;

use distill_core::Category;
use distill_core::record::RunRecord;

/// The golden model, three layers and five labels.
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/bert-tiny");

/// Rows of two classes that one word tells apart.
fn write_rows(path: &Path, count: usize) {
    let row = |number: usize| {
        let (word, label) = if number.is_multiple_of(2) { ("good", "positive") } else { ("bad", "negative") };
        format!("{{\"id\":\"{number}\",\"text\":\"a {word} one, number {number}\",\"label\":\"{label}\"}}\n")
    };
    fs::write(path, (0..count).map(row).collect::<String>()).unwrap();
}

#[test]
fn a_library_user_fine_tunes_distills_predicts_and_reports() {
    let work = tempfile::tempdir().unwrap();
    let at = |name: &str| work.path().join(name);
    write_rows(&at("train.jsonl"), 40);
    write_rows(&at("test.jsonl"), 20);

    let text = finetune::finetune(Path::new(TINY), &at("train.jsonl"), &at("teacher")).unwrap();
    assert!(text.contains("teacher/model"), "{text}");
    let (teacher, student) = (at("teacher/model"), at("distilled/student/model"));
    distill::distill(&teacher, &at("train.jsonl"), &at("distilled")).unwrap();
    let record = RunRecord::read(&at("distilled/student")).unwrap();
    assert_eq!(record.settings["student"]["layers"], serde_json::json!([0, 2]));

    assert_eq!(predict::predict(&student, &at("test.jsonl"), &at("predictions.jsonl")).unwrap(), 20);
    assert_eq!(fs::read_to_string(at("predictions.jsonl")).unwrap().lines().count(), 20);

    let finished = report::report(&teacher, &student, &at("test.jsonl"), &at("report")).unwrap();
    assert!(finished.text.contains("accuracy"), "{}", finished.text);
    assert!(at("report/report.html").is_file());
    let again = report::report(&teacher, &student, &at("test.jsonl"), &at("report")).unwrap();
    assert_eq!(
        (again.status, again.text),
        (finished.status, finished.text),
        "an up-to-date result is shown again"
    );
}

#[test]
fn an_error_says_its_category_and_nothing_is_written() {
    let work = tempfile::tempdir().unwrap();
    let (rows, out) = (work.path().join("missing.jsonl"), work.path().join("out"));
    let error = finetune::finetune(Path::new(TINY), &rows, &out).unwrap_err();
    assert_eq!(error.category(), Category::Usage, "{error}");
    assert!(error.chain().contains("missing.jsonl"), "{}", error.chain());
    assert!(!out.exists());
}
