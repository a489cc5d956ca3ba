//! Every format gives the same rows; every defect names its file, row and field.

use std::io::Write;

use distill_core::{StopReason, StopSignal};
use distill_task::TaskId;
use tempfile::TempDir;

use super::*;
use crate::error::At;

fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    (directory, path)
}

fn read(name: &str, bytes: &[u8], columns: &Columns) -> Result<Vec<Row>, DataError> {
    let (_directory, path) = file(name, bytes);
    Source::open(&path, columns)?.rows()?.collect()
}

fn message(name: &str, bytes: &[u8]) -> String {
    let error = read(name, bytes, &Columns::default()).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error[error.find(name).unwrap_or(0)..].to_owned()
}

#[test]
fn csv_follows_rfc_4180_with_bom_crlf_and_quotes() {
    let bytes = "\u{feff}id,text,label\r\na,\"one, \"\"two\"\"\r\nthree\",x\r\nb,,\r\n";
    let rows = read("a.csv", bytes.as_bytes(), &Columns::default()).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].id.as_str(), rows[0].text.as_str()), ("a", "one, \"two\"\r\nthree"));
    assert_eq!(rows[0].label, Some(Label::Class(RawLabel::Name("x".into()))));
    assert_eq!((rows[1].text.as_str(), rows[1].label.clone()), ("", None));
    assert_eq!(rows[1].place.at, At::Line(4));
}

#[test]
fn tsv_and_jsonl_give_what_csv_gives() {
    let tsv = "text\ttext_pair\tlabel\nünï 😀\t\"a\tb\"\t3\n";
    let json = "\u{feff}{\"label\": 3, \"x\": {\"text\": 1}, \"text\": \"ünï \\ud83d\\ude00\", \"text_pair\": \"a\\tb\"}\r\n\r\n";
    let tsv = read("a.tsv", tsv.as_bytes(), &Columns::default()).unwrap();
    let json = read("a.jsonl", json.as_bytes(), &Columns::default()).unwrap();
    for rows in [&tsv, &json] {
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].id.as_str(), rows[0].text.as_str()), ("0", "ünï 😀"));
        assert_eq!(rows[0].text_pair.as_deref(), Some("a\tb"));
        assert_eq!(rows[0].label, Some(Label::Class(RawLabel::Id(3))));
    }
}

#[test]
fn json_labels_and_ids_of_every_kind() {
    let lines = r#"{"id": 1, "text": "", "label": null}
{"id": "b", "text": "t", "label": 1.0}
{"id": 18446744073709551615, "text": "t", "label": "n"}
{"id": "d", "text": "t", "label": true}"#;
    let rows = read("a.ndjson", lines.as_bytes(), &Columns::default()).unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["1", "b", "18446744073709551615", "d"]);
    let labels: Vec<_> = rows.iter().map(|row| row.label.clone()).collect();
    let name = Some(Label::Class(RawLabel::Name("n".into())));
    let one = || Some(Label::Class(RawLabel::Id(1)));
    assert_eq!(labels, [None, one(), name, one()]);
}

#[test]
fn a_defect_names_file_line_and_field() {
    let cases: [(&str, &[u8], &str); 12] = [
        ("a.jsonl", b"{\"text\": \"x\"}\n{\"text\": \"y", "a.jsonl: line 2: column 11: not a JSON object: EOF"),
        ("a.jsonl", b"[1]", "a.jsonl: line 1: column 0: not a JSON object: invalid type: sequence"),
        ("a.jsonl", b"{\"text\": 3}", "a.jsonl: line 1: column \"text\": 3 is not a string"),
        ("a.jsonl", b"{\"text\": null}", "a.jsonl: line 1: column \"text\": null"),
        ("a.jsonl", b"{\"text\": \"\", \"label\": 1.5}", "a.jsonl: line 1: column \"label\": 1.5 is neither"),
        ("a.jsonl", b"{\"text\": \"\"}\n\xff\n", "a.jsonl: line 2: not UTF-8 at byte 1"),
        (
            "a.jsonl",
            b"{\"txt\": \"\"}",
            "a.jsonl: no column \"text\" (for text); there are \"txt\"; did you mean",
        ),
        (
            "a.jsonl",
            b"{\"id\": 1, \"text\": \"\"}\n{\"text\": \"\"}",
            "a.jsonl: line 2: column \"id\": missing",
        ),
        ("a.csv", b"text,label\na,1\nb\n", "a.csv: line 3: 1 fields, but the header has 2"),
        ("a.csv", b"text,label\na,1\n\xffb,2\n", "a.csv: line 3: column \"text\": not UTF-8 at byte 1"),
        ("a.csv", b"label,text\n1,a\n2,\"b\n3,c\n", "a.csv: line 3: a quoted field is never closed"),
        (
            "a.csv",
            b"Texts,label\na,1\n",
            "a.csv: no column \"text\" (for text); there are \"Texts\", \"label\"",
        ),
    ];
    for (name, bytes, expected) in cases {
        let found = message(name, bytes);
        assert!(found.starts_with(expected), "expected {expected:?}, found {found:?}");
    }
}

#[test]
fn empty_files_say_so() {
    for (name, bytes) in [("a.csv", &b""[..]), ("a.csv", b"text\n"), ("a.jsonl", b""), ("a.tsv", b"\n\n")] {
        assert_eq!(message(name, bytes), format!("{name} has no rows"), "{bytes:?}");
    }
    assert!(message("a.parquet", b"").contains("too short"));
    assert!(message("a.doc", b"x").contains("must end in .parquet"));
    let missing = Source::open(Path::new("/nowhere/a.csv"), &Columns::default()).unwrap_err();
    assert_eq!(missing.category(), distill_core::Category::Usage);
}

#[test]
fn a_column_that_was_named_must_be_there() {
    let named: Columns = serde_json::from_str(r#"{"label": "klass", "text": "q"}"#).unwrap();
    let error = read("a.csv", b"q,class\na,1\n", &named).unwrap_err().to_string();
    assert!(error.contains("no column \"klass\" (for label)") && error.contains("mean \"class\""), "{error}");
    let error = read("a.jsonl", b"{\"q\": \"\", \"class\": 1}", &named).unwrap_err().to_string();
    assert!(error.contains("no column \"klass\" (for label)"), "{error}");
    assert!(serde_json::from_str::<Columns>(r#"{"txt": "q"}"#).is_err());
}

#[test]
fn a_line_or_record_without_end_is_refused_in_bounded_memory() {
    let mut endless = b"text\n\"".to_vec();
    endless.resize(65 << 20, b'x');
    assert!(message("a.csv", &endless).contains("longer than 64 MiB"));
    endless.clear();
    endless.resize(65 << 20, b'x');
    assert!(message("a.jsonl", &endless).contains("line 1: the line is longer than 64 MiB"));
}

#[test]
fn a_long_text_is_read_whole() {
    let text = "é".repeat(500_000);
    let rows = read("a.csv", format!("text\n{text}\n").as_bytes(), &Columns::default()).unwrap();
    assert_eq!(rows[0].text, text);
}

fn scan(name: &str, bytes: &[u8]) -> Result<Summary, DataError> {
    let (_directory, path) = file(name, bytes);
    Summary::scan(&Source::open(&path, &Columns::default())?, &StopSignal::default())
}

#[test]
fn a_summary_counts_and_makes_the_label_map() {
    let summary = scan("a.csv", b"text,text_pair,label\nab,c,2\n,,\nx,y,0\nx,y,0\n").unwrap();
    assert_eq!((summary.rows, summary.unlabelled, summary.empty_texts), (4, 1, 1));
    assert_eq!((summary.has_pair, summary.longest_text_bytes), (true, 3));
    assert_eq!(summary.label_counts[&RawLabel::Id(0)], 2);
    let error = scan("a.csv", b"text,label\nx,-2\n").unwrap_err().to_string();
    assert!(error.contains("line 2: column \"label\": -2 is not a label id"), "{error}");
}

#[test]
fn duplicate_ids_and_mixed_labels_name_both_sides() {
    let error = scan("a.csv", b"id,text\na,1\nb,2\na,3\n").unwrap_err().to_string();
    assert!(error.contains("id \"a\"") && error.contains("line 2") && error.contains("line 4"), "{error}");
    let error = scan("a.csv", b"text,label\na,1\nb,yes\n").unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("cannot be mixed"), "{error}");
}

#[test]
fn a_scan_stops_when_asked() {
    let (_directory, path) = file("a.csv", b"text\na\n");
    let stop = StopSignal::default();
    stop.raise(StopReason::Terminate);
    let source = Source::open(&path, &Columns::default()).unwrap();
    let error = Summary::scan(&source, &stop).unwrap_err();
    assert_eq!(error.category(), distill_core::Category::Stopped);
}

#[test]
fn the_hash_of_a_file_is_blake3_of_its_bytes() {
    let (_directory, path) = file("a.csv", b"text\na\n");
    let source = Source::open(&path, &Columns::default()).unwrap();
    assert_eq!(source.hash().unwrap(), blake3::hash(b"text\na\n").to_hex().to_string());
    assert_eq!(source.class_names().unwrap(), None);
}

fn labelled(name: &str, bytes: &[u8], kind: TaskId) -> Result<Vec<Option<Label<RawLabel>>>, String> {
    let (_directory, path) = file(name, bytes);
    let source = Source::open(&path, &Columns::default()).unwrap().labelled(kind);
    let rows = source.rows().map_err(|error| error.to_string())?;
    rows.map(|row| row.map(|row| row.label).map_err(|error| error.to_string())).collect()
}

#[test]
fn several_classes_a_row_are_lists_in_json_and_names_between_bars_in_cells() {
    let name = |name: &str| RawLabel::Name(name.to_owned());
    let expected = [
        Some(Label::Classes(vec![name("joy"), name("anger")])),
        Some(Label::Classes(vec![name("joy")])),
        Some(Label::Classes(Vec::new())),
        None,
    ];
    let json = r#"{"text": "a", "label": ["joy", "anger"]}
{"text": "b", "label": "joy"}
{"text": "c", "label": []}
{"text": "d", "label": null}"#;
    let kind = TaskId::MULTI_LABEL;
    assert_eq!(labelled("a.jsonl", json.as_bytes(), kind).unwrap(), expected);
    assert_eq!(labelled("a.csv", b"text,label\na,joy|anger\nb,joy\nc,|\nd,\n", kind).unwrap(), expected);
    assert_eq!(labelled("a.tsv", b"text\tlabel\na\tjoy | anger\nb\tjoy\nc\t|\nd\t\n", kind).unwrap(), expected);
    let error = labelled("a.csv", b"text,label\na,x\nb,joy|x|joy\n", kind).unwrap_err();
    assert!(error.ends_with(r#"a.csv: line 3: column "label": label "joy" occurs twice"#), "{error}");
    let error = labelled("a.jsonl", br#"{"text": "a", "label": [1, [2]]}"#, kind).unwrap_err();
    assert!(error.contains("line 1") && error.ends_with("a list is neither a name nor an id"), "{error}");
    let error = labelled("a.jsonl", br#"{"text": "a", "label": {"joy": 1}}"#, kind).unwrap_err();
    assert!(error.ends_with("an object is not a list of names or ids"), "{error}");
    let error = message("a.jsonl", br#"{"text": "a", "label": ["joy"]}"#);
    assert!(error.contains("a list is neither a name nor an id"), "one class a row has no list: {error}");
}

#[test]
fn numbers_are_finite_and_nothing_else_is_one() {
    let kind = TaskId::REGRESSION;
    let expected = [Some(Label::Value(-1.5)), Some(Label::Value(2.0)), None];
    let json = b"{\"text\": \"\", \"label\": -1.5}\n{\"text\": \"\", \"label\": 2}\n{\"text\": \"\"}";
    assert_eq!(labelled("a.jsonl", json, kind).unwrap(), expected);
    assert_eq!(labelled("a.csv", b"text,label\n,-1.5\n,2\n,\n", kind).unwrap(), expected);
    for (name, bytes, problem) in [
        ("a.csv", &b"text,label\nx,high\n"[..], "line 2: column \"label\": \"high\" is not a number"),
        ("a.csv", b"text,label\nx,inf\n", "inf is not a finite number"),
        ("a.jsonl", b"{\"text\": \"\", \"label\": \"2\"}", "\"2\" is not a number"),
        ("a.jsonl", b"{\"text\": \"\", \"label\": [2]}", "a list is not a number"),
        ("a.jsonl", b"{\"text\": \"\", \"label\": 1e60}", "too large for a number of 32 bits"),
    ] {
        let error = labelled(name, bytes, kind).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn a_summary_counts_every_class_of_a_row_and_none_of_numbers() {
    let (_directory, path) = file("a.csv", b"text,label\na,x|y\nb,y\nc,|\nd,\n");
    let source = Source::open(&path, &Columns::default()).unwrap().labelled(TaskId::MULTI_LABEL);
    let summary = Summary::scan(&source, &StopSignal::default()).unwrap();
    assert_eq!((summary.rows, summary.unlabelled), (4, 1));
    assert_eq!(summary.label_counts.values().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(summary.own_map(&source).unwrap().0.names(), ["x", "y"]);
    let (_directory, path) = file("a.csv", b"text,label\na,0.5\nb,7\n");
    let source = Source::open(&path, &Columns::default()).unwrap().labelled(TaskId::REGRESSION);
    let summary = Summary::scan(&source, &StopSignal::default()).unwrap();
    assert!(summary.label_counts.is_empty());
    assert_eq!(summary.own_map(&source).unwrap().0.names(), ["LABEL_0"]);
}
