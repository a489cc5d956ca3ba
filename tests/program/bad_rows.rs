//! Rows that cannot be used: file, row and field in one line, exit code 65, nothing in OUT.

use crate::files::{self, LABELS};
use crate::harness::{Run, Work};

/// By turns, fine-tuning, the teacher or a prediction must refuse a file with this line and leave nothing.
fn refused(work: &Work, data: &str, more: &str, code: i32, parts: &[&str]) {
    let commands = [("finetune", "out/here"), ("teacher", "out/here"), ("predict", "p.jsonl")];
    let (command, out) = commands[(data.len() + more.len()) % 3];
    work.run(&format!("{command} --model tiny --data {data} --out {out} {more}")).fails(code, parts);
    let left: Vec<String> = work.tree(".").into_iter().filter(|name| name.contains(out)).collect();
    assert!(left.is_empty(), "{command} left {left:?}");
}

#[test]
fn missing_files_and_unknown_formats() {
    let work = Work::new();
    refused(&work, "none.jsonl", "", 2, &["none.jsonl", "No such file"]);
    work.write("rows.txt", "text");
    refused(
        &work,
        "rows.txt",
        "",
        2,
        &["rows.txt", "token classification only", ".parquet, .jsonl, .csv or .tsv"],
    );
    work.write("rows.json", "[]");
    work.run("predict --model tiny --data rows.json --out p.jsonl").fails(2, &["rows.json", "SQuAD", ".jsonl"]);
    work.run("finetune --model tiny --data rows.json --out ft")
        .fails(2, &["rows.json has rows for question_answering", "--task question_answering"]);
    work.write("rows.md", "text");
    refused(&work, "rows.md", "", 2, &["rows.md", ".parquet, .jsonl, .ndjson, .csv, .tsv, .conll or .conllu"]);
    std::fs::create_dir(work.path("empty")).unwrap();
    refused(&work, "empty", "", 2, &["empty", "no *.parquet"]);
}

#[test]
fn empty_files() {
    let work = Work::new();
    for name in ["e.jsonl", "e.csv", "e.tsv"] {
        work.write(name, "");
        refused(&work, name, "", 65, &[name, "no rows"]);
    }
    work.write("e.parquet", "");
    refused(&work, "e.parquet", "", 65, &["e.parquet"]);
    work.write("header.csv", "id,text,label\n");
    refused(&work, "header.csv", "", 65, &["header.csv has no rows"]);
}

#[test]
fn truncated_files() {
    let work = Work::new();
    let rows = files::rows(12, "r");
    let whole = files::jsonl(&rows);
    work.write("cut.jsonl", &whole[..whole.len() - 20]);
    refused(&work, "cut.jsonl", "", 65, &["cut.jsonl: line 12: column"]);
    let parquet = files::parquet(&rows);
    work.write("cut.parquet", &parquet[..parquet.len() - 9]);
    refused(&work, "cut.parquet", "", 65, &["cut.parquet is damaged"]);
    work.write("cut.csv", "id,text,label\nr0,what,alpha\nr1,\"who is");
    refused(&work, "cut.csv", "", 65, &["cut.csv: line 3", "cut.csv"]);
    work.write("uneven.csv", "id,text,label\nr0,what,alpha\nr1,who\n");
    refused(&work, "uneven.csv", "", 65, &["uneven.csv: line 3: 2 fields, but the header has 3"]);
}

#[test]
fn bytes_that_are_not_utf_8() {
    let work = Work::new();
    work.write("bad.jsonl", b"{\"text\": \"what\", \"label\": \"alpha\"}\n{\"text\": \"\xff\"}\n");
    refused(&work, "bad.jsonl", "", 65, &["bad.jsonl: line 2: not UTF-8"]);
    work.write("bad.csv", b"text,label\nwhat,alpha\nw\xffo,beta\n");
    refused(&work, "bad.csv", "", 65, &["bad.csv: line 3: column \"text\": not UTF-8 at byte 2"]);
}

#[test]
fn the_error_for_a_missing_column_lists_the_existing_ones() {
    let work = Work::new();
    let expected = ["no column \"text\" (for text)", "there are \"id\", \"texts\"", "did you mean \"texts\"?"];
    work.write("a.csv", "id,texts\n1,what\n");
    work.write("a.tsv", "id\ttexts\n1\twhat\n");
    work.write("a.jsonl", "{\"id\": 1, \"texts\": \"what\"}\n");
    for name in ["a.csv", "a.tsv", "a.jsonl"] {
        refused(&work, name, "", 65, &[&[name][..], &expected].concat());
    }
    work.write("b.parquet", files::parquet(&files::rows(3, "r")));
    let parts = ["b.parquet: no column \"topic\" (for label)", "there are \"id\", \"text\", \"label\""];
    refused(&work, "b.parquet", "--label-column topic", 65, &parts);
    work.write("c.jsonl", "{\"text\": \"what\", \"label\": \"alpha\"}\n{\"label\": \"beta\"}\n");
    refused(&work, "c.jsonl", "", 65, &["c.jsonl: line 2: column \"text\": missing"]);
}

#[test]
fn fields_of_the_wrong_kind() {
    let work = Work::new();
    work.write("a.jsonl", "{\"text\": [1], \"label\": \"alpha\"}\n");
    refused(&work, "a.jsonl", "", 65, &["a.jsonl: line 1: column \"text\": a list is not a string"]);
    work.write("b.jsonl", "{\"text\": \"what\", \"label\": 0.5}\n");
    refused(&work, "b.jsonl", "", 65, &["b.jsonl: line 1: column \"label\": 0.5"]);
    work.write("c.jsonl", "[1, 2]\n");
    refused(&work, "c.jsonl", "", 65, &["c.jsonl: line 1", "not a JSON object"]);
    work.write("d.jsonl", "{\"text\": \"a\", \"label\": \"alpha\"}\n{\"text\": \"b\", \"label\": 1}\n");
    refused(&work, "d.jsonl", "", 65, &["d.jsonl: line 2: column \"label\"", "cannot be mixed"]);
}

#[test]
fn duplicate_ids_name_both_rows() {
    let work = Work::new();
    let mut rows = files::rows(12, "r");
    rows[9].id = "r2".to_owned();
    work.write("twice.jsonl", files::jsonl(&rows));
    refused(&work, "twice.jsonl", "", 65, &["id \"r2\"", "twice.jsonl: line 3", "twice.jsonl: line 10"]);
    work.write("twice.parquet", files::parquet(&rows));
    refused(&work, "twice.parquet", "", 65, &["id \"r2\"", "row 3 (from 1)", "row 10 (from 1)"]);
}

/// Labels of one row changed to something else.
fn relabelled(label: &str, id: bool) -> String {
    let mut rows = files::rows(12, "r");
    for (index, row) in rows.iter_mut().enumerate() {
        row.label = id.then(|| (index % LABELS.len()).to_string()).or(row.label.take());
    }
    rows[7].label = Some(label.to_owned());
    files::separated(&rows, ",")
}

#[test]
fn labels_that_the_teacher_does_not_have() {
    let work = Work::new();
    work.write("range.csv", relabelled("5", true));
    work.write("negative.csv", relabelled("-1", true));
    work.write("unknown.csv", relabelled("gama", false));
    let cases = [
        ("range.csv", "5 is outside 0..5"),
        ("negative.csv", "-1 is not a label id"),
        (
            "unknown.csv",
            "unknown label \"gama\"; known labels: \"alpha\", \"beta\", \"gamma\", \"delta\", \"epsilon\"; did you mean \"gamma\"?",
        ),
    ];
    for (name, what) in cases {
        let place = format!("{name}: line 9: column \"label\": {what}");
        let check = |run: Run| run.fails(65, &[&place]);
        check(work.run(&format!("teacher --model tiny --data {name} --out out")));
        check(work.run(&format!("predict --model tiny --data {name} --out p.parquet")));
        check(work.run(&format!("report --model tiny --data {name} --out out")));
        assert!(!work.path("out").exists() && !work.path("p.parquet").exists());
    }
    let named = work.run("teacher --model tiny --data named.csv --label-column topic --out out");
    named.fails(2, &["named.csv"]);
    work.write("named.csv", relabelled("5", true).replace("label", "topic"));
    let named = work.run("teacher --model tiny --data named.csv --label-column topic --out out");
    named.fails(65, &["named.csv: line 9: column \"topic\": 5 is outside 0..5"]);
}

#[test]
fn a_bad_label_is_found_before_any_row_is_computed() {
    let work = Work::new();
    let mut rows = files::rows(4200, "r");
    rows[4150].label = Some("omega".to_owned());
    work.write("rows.jsonl", files::jsonl(&rows));
    let run = work.run("teacher --model tiny --data rows.jsonl --out out");
    run.fails(65, &["rows.jsonl: line 4151: column \"label\": unknown label \"omega\""]);
    assert!(!work.path("out").exists(), "no shard is left: {:?}", work.tree("out"));
}

#[test]
fn labels_that_cannot_become_a_label_map() {
    let work = Work::with_rows();
    work.write("negative.csv", relabelled("-1", true));
    let run = work.run("finetune --model tiny --data negative.csv --epochs 1 --out out");
    run.fails(65, &["negative.csv: line 9: column \"label\": -1 is not a label id"]);
    work.write("validation.csv", relabelled("gama", false));
    let run =
        work.run("finetune --model tiny --data rows.jsonl --validation validation.csv --epochs 1 --out out");
    run.fails(65, &["validation.csv: line 9: column \"label\": unknown label \"gama\""]);
    assert!(!work.path("out").exists());
}

#[test]
fn empty_texts_are_allowed_and_counted() {
    let work = Work::new();
    let mut rows = files::rows(12, "r");
    rows[3].text = String::new();
    rows[8].text = String::new();
    work.write("rows.jsonl", files::jsonl(&rows));
    let run = work.run("teacher --model tiny --data rows.jsonl --out targets --json").succeeds();
    assert_eq!(run.json()["empty"], 2);
    run.says("2 of 12 rows have an empty text");
    work.run("finetune --model tiny --data rows.jsonl --epochs 1 --out ft").succeeds();
    work.run("student --targets targets --init tiny --layers 0 --epochs 1 --out st").succeeds();
}

#[test]
fn a_text_of_a_megabyte_is_truncated_and_counted() {
    let work = Work::new();
    let mut rows = files::rows(12, "r");
    rows[5].text = "what is the river ".repeat(60_000);
    work.write("rows.jsonl", files::jsonl(&rows));
    let run = work.run("teacher --model tiny --data rows.jsonl --out targets --json").succeeds();
    assert_eq!(run.json()["truncated"], 1);
    run.says("1 of 12 rows are longer than 32 tokens and were truncated");
    work.run("student --targets targets --init tiny --layers 0 --epochs 1 --out st").succeeds();
}

#[test]
fn too_few_rows_for_a_validation_part() {
    let work = Work::new();
    work.write("one.jsonl", files::jsonl(&files::rows(1, "r")));
    let run = work.run("finetune --model tiny --data one.jsonl --epochs 1 --out out");
    run.fails(65, &["validation part"]);
    assert!(!work.path("out").exists());
}

#[test]
fn reports_refuse_rows_that_do_not_match() {
    let work = Work::with_rows();
    work.write("other.jsonl", files::jsonl(&files::rows(20, "x")));
    work.run("predict --model tiny --data test.jsonl --out a.parquet").succeeds();
    work.run("predict --model tiny --data other.jsonl --out b.parquet").succeeds();
    let run = work.run("report --predictions a.parquet --predictions b.parquet --out out");
    run.fails(65, &["not about the same rows", "\"t0\""]);
    let mut unlabelled = files::rows(5, "u");
    unlabelled.iter_mut().for_each(|row| row.label = None);
    work.write("unlabelled.jsonl", files::jsonl(&unlabelled));
    work.run("report --model tiny --data unlabelled.jsonl --out out")
        .fails(65, &["none of the 5 rows has a label"]);
    assert!(!work.path("out").exists());
}

#[test]
fn damaged_stores() {
    let work = Work::with_targets();
    let shard = "targets/train-00000-of-00001.parquet";
    let student = || work.run("student --targets targets --init tiny --layers 0 --epochs 1 --out st");
    let whole = work.bytes(shard);
    work.write(shard, &whole[..whole.len() - 1]);
    student().fails(65, &["train-00000-of-00001.parquet is damaged", "the manifest says"]);
    std::fs::remove_file(work.path(shard)).unwrap();
    student().fails(65, &["train-00000-of-00001.parquet", "missing"]);
    let manifest = work.read("targets/manifest.json");
    work.write("targets/manifest.json", &manifest[..manifest.len() / 2]);
    student().fails(65, &["targets/manifest.json is damaged"]);
    std::fs::remove_file(work.path("targets/manifest.json")).unwrap();
    student().fails(2, &["targets/manifest.json"]);
    assert!(!work.path("st").exists());
}

/// With nothing to compare epochs by, the first would be kept whatever the others learn.
#[test]
fn a_validation_file_without_labels_is_refused() {
    let work = Work::with_targets();
    let rows: String = files::rows(12, "v")
        .iter()
        .map(|row| format!("{{\"text\": {:?}, \"labels\": \"HUM\"}}\n", row.text))
        .collect();
    work.write("dev.jsonl", rows);
    work.run("finetune --model tiny --data rows.jsonl --validation dev.jsonl --out ft")
        .fails(65, &["validation", "label column"]);
    work.run("student --targets targets --init tiny --layers 0 --validation dev.jsonl --out st")
        .fails(65, &["validation"]);
    assert!(!work.path("ft").exists() && !work.path("st").exists());
}
